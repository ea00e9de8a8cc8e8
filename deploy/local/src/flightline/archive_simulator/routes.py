"""What a simulated archive answers: frames and files, users of the portal, stars of Gaia."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from flightline.archive_simulator.archive import ArchiveSimulator, Frame

LIMIT, LIMIT_AT_MOST = 100, 1000
CHUNK_BYTES = 1 << 16
VOTABLE = "application/x-votable+xml"

ARCHIVE = web.AppKey("archive", ArchiveSimulator)
FAULT = web.RequestKey("fault", str)

_SAME: Mapping[str, str] = {
    "basename_exact": "basename",
    "proposal_id": "proposal_id",
    "primary_optical_element": "primary_optical_element",
    "configuration_type": "configuration_type",
    "reduction_level": "reduction_level",
    "instrument_id": "instrument_id",
}
"""Filters that a field of a record has to equal."""
_WITHIN: Mapping[str, str] = {"basename": "basename", "target_name": "target_name"}


async def _frames(request: web.Request) -> web.Response:
    archive = request.app[ARCHIVE]
    suits = _filter(request.query)
    found = [record for frame in archive.visible(_token(request)) if suits(record := archive.record(frame))]
    limit = max(1, min(_count(request, "limit", LIMIT), LIMIT_AT_MOST))
    offset = _count(request, "offset", 0)

    def at(start: int) -> str:
        return str(request.url.update_query(offset=start, limit=limit))

    return web.json_response(
        {
            "count": len(found),
            "next": at(offset + limit) if offset + limit < len(found) else None,
            "previous": at(max(0, offset - limit)) if offset else None,
            "results": found[offset : offset + limit],
        }
    )


def _filter(query: Mapping[str, str]) -> Callable[[Mapping[str, Any]], bool]:
    same = {field: query[name] for name, field in _SAME.items() if name in query}
    within = {field: query[name].lower() for name, field in _WITHIN.items() if name in query}
    start, end = (_moment(query[name]) if name in query else None for name in ("start", "end"))

    def suits(record: Mapping[str, Any]) -> bool:
        taken = _moment(record["observation_date"])
        return (
            all(str(record.get(field)) == value for field, value in same.items())
            and all(value in str(record.get(field, "")).lower() for field, value in within.items())
            and (start is None or taken >= start)
            and (end is None or taken < end)
        )

    return suits


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise web.HTTPBadRequest(text='{"detail": "no date"}', content_type="application/json") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _count(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() and len(text) < LIMIT else default


async def _frame(request: web.Request) -> web.Response:
    return web.json_response(request.app[ARCHIVE].record(_visible(request)))


async def _headers(request: web.Request) -> web.Response:
    frame = _visible(request)
    headers = {"OBJECT": frame.basename, "SIMPLE": True, **frame.headers}
    return web.json_response({"data": {name.replace("-", "_"): value for name, value in headers.items()}})


async def _file(request: web.Request) -> web.StreamResponse:
    archive = request.app[ARCHIVE]
    number, until = int(request.match_info["number"]), request.query.get("until", "0")
    frame = next((one for one in archive.frames.values() if one.id == number), None)
    is_genuine = request.query.get("signature") == archive.signature(number, until)
    if frame is None or not is_genuine or not until.isdecimal() or int(until) < time.time():
        return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
    content = await asyncio.to_thread(frame.read)
    if request.get(FAULT) == "damaged":
        content = bytes(len(content))
    response = web.StreamResponse(headers={"Content-Length": str(len(content))})
    await response.prepare(request)
    if request.get(FAULT) == "cut":
        await response.write(content[: len(content) // 2])
        hang_up(request)
        return response
    for start in range(0, len(content), CHUNK_BYTES):
        await response.write(content[start : start + CHUNK_BYTES])
    await response.write_eof()
    return response


async def _log_in(request: web.Request) -> web.Response:
    form = await request.post()
    password, token = request.app[ARCHIVE].passwords.get(str(form.get("username")), (None, ""))
    if password is None or form.get("password") != password:
        told = ["Unable to log in with provided credentials."]
        return web.json_response({"non_field_errors": told}, status=400)
    return web.json_response({"token": token})


async def _profile(request: web.Request) -> web.Response:
    archive, token = request.app[ARCHIVE], _token(request)
    for name, (_, theirs) in archive.passwords.items():
        if theirs == token:
            proposals = sorted(archive.users.get(theirs, frozenset()))
            return web.json_response(
                {
                    "username": name,
                    "email": f"{name}@example.org",
                    "first_name": name,
                    "last_name": "",
                    "is_staff": False,
                    "is_superuser": False,
                    "proposals": [{"id": one, "title": one, "current": True} for one in proposals],
                    "tokens": {"api_token": theirs},
                }
            )
    raise _unauthorized("Authentication credentials were not provided.")


async def _tap(request: web.Request) -> web.Response:
    tap = request.app[ARCHIVE].tap
    if tap is None:
        raise web.HTTPNotFound
    status, content = await asyncio.to_thread(tap.answer, parse_qs(await request.text()))
    return web.Response(status=status, body=content, content_type=VOTABLE)


ROUTES = (
    web.get("/frames/", _frames),
    web.get("/frames/{number:\\d+}/", _frame),
    web.get("/frames/{number:\\d+}/headers/", _headers),
    web.get("/files/{number:\\d+}", _file),
    web.post("/portal/api/api-token-auth/", _log_in),
    web.get("/portal/api/profile/", _profile),
    web.post("/tap/sync", _tap),
)


def hang_up(request: web.Request) -> None:
    """End the connection at once."""
    if request.transport is not None:
        request.transport.abort()


def _visible(request: web.Request) -> Frame:
    number = int(request.match_info["number"])
    for frame in request.app[ARCHIVE].visible(_token(request)):
        if frame.id == number:
            return frame
    raise web.HTTPNotFound


def _token(request: web.Request) -> str | None:
    """Return the token of a request; one that nobody has is refused, as the archive does."""
    archive = request.app[ARCHIVE]
    header = request.headers.get("Authorization", "")
    archive.tokens_seen.append(header)
    if not header:
        return None
    kind, _, token = header.partition(" ")
    if kind != "Token" or token not in archive.users:
        raise _unauthorized("Invalid token.")
    return token


def _unauthorized(detail: str) -> web.HTTPUnauthorized:
    return web.HTTPUnauthorized(text=f'{{"detail": "{detail}"}}', content_type="application/json")
