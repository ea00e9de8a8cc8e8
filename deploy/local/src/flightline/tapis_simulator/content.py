"""``getContents``: whole files, and the strange ``range`` of Tapis."""

from __future__ import annotations

import re

from aiohttp import web

from flightline.tapis_simulator.answers import RefusedError
from flightline.tapis_simulator.asking import flag, storage, target, wants
from flightline.tapis_simulator.contents import Content
from flightline.tapis_simulator.files import Entry
from flightline.tapis_simulator.systems import StorageSystem
from flightline.tapis_simulator.wire import Body, part, read, send

_RANGE = re.compile(r"(\d+),(\d+)")
_MORE_BYTES = 1024
_TURNED = bytes(255 - number for number in range(256))


async def get_contents(request: web.Request) -> web.StreamResponse:
    """Answer ``GET /v3/files/content/{systemId}/{path}``."""
    system, path, _ = storage(request)
    if flag(request, "zip"):
        raise RefusedError(400, "FILES_CONT_ZIP The simulator sends no archives.")
    if request.rel_url.raw_path.endswith("/") or not target(request)[1]:
        raise RefusedError(400, f"FILES_CONT_DIR Only files can be served. Path: {path}")
    entry = file_at(system, path)
    if wanted := request.headers.get("range"):
        return await send(request, _ranged(entry, wanted), {"Content-Type": "text/plain"})
    if wanted := request.headers.get("more"):
        headers = {"Content-Type": "text/plain", "Content-Disposition": "inline"}
        return await send(request, _more(entry, wanted), headers)
    return await send_file(request, system, entry)


def file_at(system: StorageSystem, path: str) -> Entry:
    """Return a file that can be read."""
    entry = system.files.stat(path)
    if entry is not None and entry.kind == "dir" and system.type != "S3":
        raise RefusedError(400, f"FILES_CONT_DIR_NOZIP Path is a directory. System: {system.id} Path: {path}")
    if entry is None or entry.content is None:
        raise RefusedError(
            404, f"FILES_CLIENT_SSH_NOT_FOUND Path not found. System: {system.id} Path: {path}"
        )
    return entry


async def send_file(request: web.Request, system: StorageSystem, entry: Entry) -> web.StreamResponse:
    """Send a whole file, with whatever is wrong with it today."""
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename={_safe(entry.name)}",
        "Cache-Control": "max-age=3600",
    }
    return await send(request, _body(request, system, entry), headers)


def _body(request: web.Request, system: StorageSystem, entry: Entry) -> Body:
    assert entry.content is not None
    if fault := wants(request, "replace"):
        return _replaced(system, entry, entry.content, fault.size_bytes)
    body = read(entry.content)
    if wants(request, "wrong_content"):
        body = _turned(body)
    if fault := wants(request, "wrong_size"):
        body = _resized(body, entry.size_bytes + fault.bytes)
    return body


async def _replaced(system: StorageSystem, entry: Entry, old: Content, size_bytes: int | None) -> Body:
    """Send the first half of the old file and the second of the one that takes its place meanwhile."""
    half_bytes = entry.size_bytes // 2
    async for piece in part(read(old), 0, half_bytes):
        yield piece
    size_bytes = entry.size_bytes if size_bytes is None else size_bytes
    new = system.files.add(entry.path, size_bytes, entry.modified_s + 1)
    assert new.content is not None
    async for piece in part(read(new.content), half_bytes, size_bytes):
        yield piece


async def _turned(body: Body) -> Body:
    async for piece in body:
        yield piece.translate(_TURNED)


async def _resized(body: Body, size_bytes: int) -> Body:
    left_bytes = size_bytes
    async for piece in part(body, 0, size_bytes):
        left_bytes -= len(piece)
        yield piece
    while left_bytes > 0:
        yield bytes(min(left_bytes, 1 << 16))
        left_bytes -= 1 << 16


def _ranged(entry: Entry, wanted: str) -> Body:
    """Return the part that ``range: a,b`` asks for: b bytes from a on, and a may not be above b."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or int(found[1]) > int(found[2]):
        raise RefusedError(400, f"FILES_CONT_BAD_RANGE Invalid range: {wanted}")
    assert entry.content is not None
    return part(read(entry.content), int(found[1]), int(found[2]))


def _more(entry: Entry, wanted: str) -> Body:
    if not wanted.isdecimal() or int(wanted) < 1:
        raise RefusedError(400, f"FILES_CONT_BAD_MORE Invalid page: {wanted}")
    assert entry.content is not None
    return part(read(entry.content), (int(wanted) - 1) * _MORE_BYTES, _MORE_BYTES)


def _safe(name: str) -> str:
    """Return a name that cannot break out of a header."""
    return re.sub(r"[^\x20-\x7e]|[\"\\]", "_", name)
