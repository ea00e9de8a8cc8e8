"""What a request asks: as whom, of which system, for which path, with which parameters."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import web

from flightline.tapis_simulator.answers import FLASK_PATHS, RefusedError
from flightline.tapis_simulator.calls import Call
from flightline.tapis_simulator.faults import Fault
from flightline.tapis_simulator.systems import StorageSystem
from flightline.tapis_simulator.tapis import Tapis
from flightline.tapis_simulator.tokens import InvalidTokenError

TAPIS = web.AppKey("tapis", Tapis)
FAULTS = web.RequestKey("faults", list[Fault])
TOKEN_HEADER = "X-Tapis-Token"  # noqa: S105 - the name of a header
_FILES = "/v3/files/"
_CONTROLLED_FILES = "/simulator/files/"


def call_of(request: web.Request) -> Call:
    """Return what is asked; the operation is the name of the route, up to a dot."""
    operation = (request.match_info.route.name or "unknown").partition(".")[0]
    system, path = target(request) if "systemId" in request.match_info else ("", "")
    return Call(request.method, operation, request.path, system, path)


def target(request: web.Request) -> tuple[str, str]:
    """Return system and path of a request for files, decoded once and from the bytes that were sent."""
    raw = request.rel_url.raw_path
    if not raw.startswith((_FILES, _CONTROLLED_FILES)):
        return unquote(request.match_info["systemId"]), ""
    parts = raw.removeprefix(_FILES).removeprefix(_CONTROLLED_FILES).split("/")
    if raw.startswith(_FILES):
        parts = parts[2:] if parts[0] == "utils" else parts[1:]
    return unquote(parts[0]), unquote("/".join(parts[1:])).strip("/")


def wants(request: web.Request, *kinds: str) -> Fault | None:
    """Return the fault of one of these kinds that strikes this request."""
    return next((fault for fault in request[FAULTS] if fault.kind in kinds), None)


def principal(request: web.Request) -> str:
    """Return who asks.

    Raises:
        RefusedError: No token that counts came along.
    """
    token = request.headers.get(TOKEN_HEADER)
    is_flask = request.path.startswith(FLASK_PATHS)
    if not token:
        if is_flask:
            raise RefusedError(400, "No Tapis access token found in the request.")
        raise RefusedError(401, "TAPIS_SECURITY_MISSING_JWT_HEADER Missing JWT header.", is_text=True)
    try:
        claims = request.app[TAPIS].issuer.check(token, "access")
    except InvalidTokenError as error:
        if is_flask:
            raise RefusedError(400, f"Invalid Tapis token: {error}") from error
        message = f"TAPIS_SECURITY_JWT_PARSE_ERROR Unable to validate the JWT: {error}"
        raise RefusedError(401, message, is_text=True) from error
    return str(claims["tapis/username"])


def storage(request: web.Request) -> tuple[StorageSystem, str, str]:
    """Return the system that files are asked of, the path there, and who asks.

    Raises:
        RefusedError: There is no such system, or nothing can be read there.
    """
    user = principal(request)
    name, path = target(request)
    return usable(request.app[TAPIS], name, user), confined(path), user


def usable(tapis: Tapis, name: str, user: str) -> StorageSystem:
    """Return a system that ``user`` can read from."""
    system = tapis.systems.get(name)
    if system is None or system.is_deleted:
        raise RefusedError(
            404, f"FILES_SYSTEM_NOTFOUND System not found. Tenant: {tapis.tenant} System: {name}"
        )
    if not system.is_visible_to(user):
        raise RefusedError(403, f"SYSLIB_UNAUTH User is not authorized. User: {user} System: {name}")
    if not system.is_enabled:
        raise RefusedError(404, f"FILES_SYSTEM_NOTENABLED System is not enabled. System: {name}")
    if not system.has_credentials(user):
        raise RefusedError(
            500, f"FILES_CLIENT_SSH_CRED_ERR No credentials for effectiveUser: {user} System: {name}"
        )
    return system


def confined(path: str) -> str:
    """Return the path without empty parts, or refuse one that leads upwards."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise RefusedError(400, f"FILES_PATH_INVALID Path may not contain '..'. Path: {path}")
    return "/".join(parts)


def integer(request: web.Request, name: str, default: int, *, least: int, most: int = 2**31 - 1) -> int:
    """Return a whole number from the query."""
    text = request.query.get(name)
    try:
        number = default if text is None else int(text)
    except ValueError:
        raise RefusedError(
            404, "HTTP 404 Not Found"
        ) from None  # what JAX-RS says of a parameter it cannot read
    if not least <= number <= most:
        raise RefusedError(400, f"TAPIS_QUERY_PARAM_ERROR {name} must be from {least} to {most}: {number}")
    return number


def flag(request: web.Request, name: str) -> bool | None:
    """Return a yes or no from the query."""
    text = request.query.get(name)
    return None if text is None else text.lower() == "true"


async def fields(request: web.Request) -> dict[str, Any]:
    """Return the body's fields, of JSON or of a form."""
    if request.content_type == "application/json":
        try:
            document = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            raise RefusedError(400, "The body is no JSON.") from None
        if not isinstance(document, dict):
            raise RefusedError(400, "The body is no JSON object.")
        return {name: value for name, value in document.items() if value is not None}
    return {name: str(value) for name, value in (await request.post()).items()}
