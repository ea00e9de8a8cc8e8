"""A science archive to try things out with: frames, tokens, signed links, paging, and faults, over TCP."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from aiohttp import web

Kind = Literal["status", "hang", "delay", "reset", "cut", "damaged", "malformed"]
LIMIT, LIMIT_AT_MOST = 100, 1000
LINKS_COUNT_FOR_S = 48 * 3600.0
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame and who may see it."""

    id: int
    basename: str
    content: bytes
    proposal: str | None = None
    """None: public."""
    version: int = 1
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Fault:
    """What goes wrong with requests whose path holds ``path``, so many times; None: always."""

    kind: Kind
    path: str = "/"
    times: int | None = 1
    status: int = 503
    retry_after_s: int | None = None
    seconds: float = 3600.0


@dataclass(slots=True)
class ArchiveSimulator:
    """What there is in the archive, and what happened to it."""

    frames: dict[str, Frame] = field(default_factory=dict)
    users: dict[str, frozenset[str]] = field(default_factory=dict)
    """Token to the proposals that it opens."""
    faults: list[Fault] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by ``frames``, ``headers`` and ``files``."""
    tokens_seen: list[str] = field(default_factory=list)
    """The header of each request for frames."""
    url: str = ""
    links_count_for_s: float = LINKS_COUNT_FOR_S
    has_md5: bool = True
    _secret: bytes = b"simulated"

    def add(self, basename: str, content: bytes, *, proposal: str | None = None, **extra: Any) -> Frame:
        """Add a frame, or reduce one again."""
        old = self.frames.get(basename)
        number, version = (old.id, old.version + 1) if old else (len(self.frames) + 1001, 1)
        frame = Frame(number, basename, content, proposal, version, extra)
        self.frames[basename] = frame
        return frame

    def fail(self, kind: Kind, **more: Any) -> Fault:
        """Have requests go wrong."""
        fault = Fault(kind, **more)
        self.faults.append(fault)
        return fault

    def strike(self, path: str) -> Fault | None:
        """Return what goes wrong with a request, counted."""
        for fault in self.faults:
            if fault.path in path and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def visible(self, token: str | None) -> list[Frame]:
        """Return the frames that a token opens, newest first."""
        proposals = self.users.get(token or "", frozenset())
        seen = [one for one in self.frames.values() if one.proposal is None or one.proposal in proposals]
        return sorted(seen, key=lambda frame: -frame.id)

    def record(self, frame: Frame) -> dict[str, Any]:
        """Return a frame as the API tells of it."""
        digest = hashlib.md5(frame.content, usedforsecurity=False).hexdigest()
        filename = f"{frame.basename}.fits.fz"
        version = {
            "id": frame.id * 10 + frame.version,
            "key": f"{digest[:12]}.v{frame.version}",
            "md5": digest if self.has_md5 else "",
            "extension": ".fits.fz",
            "url": self.link(frame),
        }
        return {
            "id": frame.id,
            "basename": frame.basename,
            "url": self.link(frame),
            "filename": filename,
            "version_set": [version],
            "observation_date": "2023-11-14T08:00:00Z",
            "primary_optical_element": "rp",
            "proposal_id": frame.proposal or "public",
            "reduction_level": 91,
            "related_frames": [],
            **frame.extra,
        }

    def link(self, frame: Frame) -> str:
        """Return a link that opens a frame's file to anybody for a while."""
        until = str(int(time.time() + self.links_count_for_s))
        query = urlencode({"until": until, "signature": self.signature(frame.id, until)})
        return f"{self.url}/files/{frame.id}?{query}"

    def signature(self, number: int, until: str) -> str:
        """Return what makes a link genuine."""
        return hmac.new(self._secret, f"{number}:{until}".encode(), hashlib.sha256).hexdigest()


ARCHIVE = web.AppKey("archive", ArchiveSimulator)
FAULT = web.RequestKey("fault", str)


@asynccontextmanager
async def serving_archive(archive: ArchiveSimulator | None = None) -> AsyncIterator[ArchiveSimulator]:
    """Serve an archive on a free port until the block ends."""
    archive = archive or ArchiveSimulator()
    app = web.Application(middlewares=[_play])
    app[ARCHIVE] = archive
    app.add_routes(
        [
            web.get("/frames/", _frames),
            web.get("/frames/{number:\\d+}/", _frame),
            web.get("/frames/{number:\\d+}/headers/", _headers),
            web.get("/files/{number:\\d+}", _file),
        ]
    )
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        archive.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield archive
    finally:
        await runner.cleanup()


@web.middleware
async def _play(request: web.Request, handler: Any) -> web.StreamResponse:
    archive = request.app[ARCHIVE]
    archive.asked[request.path.strip("/").split("/")[0]] += 1
    fault = archive.strike(request.path)
    match fault:
        case None:
            pass
        case Fault(kind="status"):
            headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
            return web.json_response({"detail": "simulated"}, status=fault.status, headers=headers)
        case Fault(kind="hang" | "delay"):
            await asyncio.sleep(fault.seconds)
        case Fault(kind="reset"):
            _end(request)
            return web.Response()
        case Fault(kind="malformed"):
            return web.Response(text='{"results": [', content_type="application/json")
        case _:
            request[FAULT] = fault.kind
    response: web.StreamResponse = await handler(request)
    return response


async def _frames(request: web.Request) -> web.Response:
    archive = request.app[ARCHIVE]
    token = _token(request)
    query = request.query
    found = [
        frame
        for frame in archive.visible(token)
        if query.get("basename_exact") in (None, frame.basename)
        and query.get("basename", "") in frame.basename
        and query.get("proposal_id") in (None, frame.proposal)
    ]
    limit = min(int(query.get("limit", LIMIT)), LIMIT_AT_MOST)
    offset = int(query.get("offset", 0))
    page = found[offset : offset + limit]

    def at(start: int) -> str:
        return str(request.url.update_query(offset=start, limit=limit))

    return web.json_response(
        {
            "count": len(found),
            "next": at(offset + limit) if offset + limit < len(found) else None,
            "previous": at(max(0, offset - limit)) if offset else None,
            "results": [archive.record(frame) for frame in page],
        }
    )


async def _frame(request: web.Request) -> web.Response:
    return web.json_response(request.app[ARCHIVE].record(_visible(request)))


async def _headers(request: web.Request) -> web.Response:
    frame = _visible(request)
    return web.json_response({"data": {"OBJECT": frame.basename, "SIMPLE": True}})


async def _file(request: web.Request) -> web.StreamResponse:
    archive = request.app[ARCHIVE]
    number, until = int(request.match_info["number"]), request.query.get("until", "0")
    frame = next((one for one in archive.frames.values() if one.id == number), None)
    is_genuine = request.query.get("signature") == archive.signature(number, until)
    if frame is None or not is_genuine or not until.isdecimal() or int(until) < time.time():
        return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
    content = frame.content
    if request.get(FAULT) == "damaged":
        content = bytes(len(content))
    response = web.StreamResponse(headers={"Content-Length": str(len(content))})
    await response.prepare(request)
    if request.get(FAULT) == "cut":
        await response.write(content[: len(content) // 2])
        _end(request)
        return response
    for start in range(0, len(content), CHUNK_BYTES):
        await response.write(content[start : start + CHUNK_BYTES])
    await response.write_eof()
    return response


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
        raise web.HTTPUnauthorized(text='{"detail": "Invalid token."}', content_type="application/json")
    return token


def _end(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
