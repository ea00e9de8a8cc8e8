"""Requests for secrets, of both versions of the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from flightline.vault_simulator.answers import RefusedError, done, envelope, given, missing
from flightline.vault_simulator.asking import allowed, body_of, path_of, vault_of
from flightline.vault_simulator.kv import History, PlainEngine, Values, VersionedEngine

_V1_LEASE_S = 2_764_800
"""What Vault says of how often a secret of version 1 should be read anew: 32 days."""
_WRONG_PATH = "Invalid path for a versioned K/V secrets engine."

Handle = Callable[[VersionedEngine, str, Request], Awaitable[Response]]


async def use_secrets(request: Request) -> Response:
    """Answer what is asked of an engine that is mounted."""
    allowed(request)
    _, engine, rest = vault_of(request).engine(path_of(request))
    if isinstance(engine, PlainEngine):
        return await _plain(engine, rest, request)
    area, _, path = rest.partition("/")
    handle = _HANDLES.get((area, _method(request)))
    if handle:
        return await handle(engine, path, request)
    if area in ("data", "metadata", "config", "delete", "undelete", "destroy"):
        raise _unsupported()
    raise RefusedError(HTTPStatus.NOT_FOUND, body=envelope(None, warnings=[_WRONG_PATH]))


def _method(request: Request) -> str:
    """Return what is asked for; PUT is POST, and a list may be asked for by GET."""
    if request.method == "GET" and request.query_params.get("list") == "true":
        return "LIST"
    return "POST" if request.method == "PUT" else request.method


async def _plain(engine: PlainEngine, path: str, request: Request) -> Response:
    match _method(request):
        case "GET":
            return given(engine.read(path), lease_s=_V1_LEASE_S)
        case "LIST":
            return given({"keys": engine.keys(path)})
        case "POST":
            engine.secrets[path] = _some(await body_of(request))
        case "DELETE":
            engine.secrets.pop(path, None)
        case _:
            raise _unsupported()
    return done()


async def _read(engine: VersionedEngine, path: str, request: Request) -> Response:
    data, is_there = engine.read(path, _number(request.query_params.get("version", "0")))
    return JSONResponse(envelope(data), HTTPStatus.OK if is_there else HTTPStatus.NOT_FOUND)


async def _write(engine: VersionedEngine, path: str, request: Request) -> Response:
    body = await body_of(request)
    values, options = body.get("data"), body.get("options") or {}
    if not isinstance(values, dict):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "no data provided")
    cas = options.get("cas")
    return given(engine.write(path, values, None if cas is None else _number(cas)))


async def _delete(engine: VersionedEngine, path: str, _request: Request) -> Response:
    engine.delete(path)
    return done()


async def _delete_versions(engine: VersionedEngine, path: str, request: Request) -> Response:
    engine.delete(path, await _versions(request))
    return done()


async def _undelete(engine: VersionedEngine, path: str, request: Request) -> Response:
    engine.undelete(path, await _versions(request))
    return done()


async def _destroy(engine: VersionedEngine, path: str, request: Request) -> Response:
    engine.destroy(path, await _versions(request))
    return done()


async def _metadata(engine: VersionedEngine, path: str, _request: Request) -> Response:
    return given(engine.history(path).document())


async def _change_metadata(engine: VersionedEngine, path: str, request: Request) -> Response:
    body = await body_of(request)
    history = engine.secrets.setdefault(path, History())
    history.custom = body.get("custom_metadata", history.custom)
    history.is_cas_required = bool(body.get("cas_required", history.is_cas_required))
    return done()


async def _forget(engine: VersionedEngine, path: str, _request: Request) -> Response:
    engine.forget(path)
    return done()


async def _list(engine: VersionedEngine, path: str, _request: Request) -> Response:
    return given({"keys": engine.keys(path)})


async def _config(engine: VersionedEngine, path: str, _request: Request) -> Response:
    if path:
        raise missing()
    return given(engine.config)


async def _configure(engine: VersionedEngine, path: str, request: Request) -> Response:
    if path:
        raise missing()
    body = await body_of(request)
    engine.config.update({key: value for key, value in body.items() if key in engine.config})
    return done()


async def _versions(request: Request) -> list[int]:
    numbers = (await body_of(request)).get("versions")
    if not isinstance(numbers, list) or not numbers:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "No version number provided")
    return [_number(number) for number in numbers]


def _some(values: Values) -> Values:
    if not values:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "missing data fields")
    return values


def _number(text: Any) -> int:
    try:
        return int(text)
    except (TypeError, ValueError):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "expected a number") from None


def _unsupported() -> RefusedError:
    return RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "unsupported operation")


_HANDLES: dict[tuple[str, str], Handle] = {
    ("data", "GET"): _read,
    ("data", "POST"): _write,
    ("data", "DELETE"): _delete,
    ("delete", "POST"): _delete_versions,
    ("undelete", "POST"): _undelete,
    ("destroy", "POST"): _destroy,
    ("metadata", "GET"): _metadata,
    ("metadata", "POST"): _change_metadata,
    ("metadata", "DELETE"): _forget,
    ("metadata", "LIST"): _list,
    ("config", "GET"): _config,
    ("config", "POST"): _configure,
}
