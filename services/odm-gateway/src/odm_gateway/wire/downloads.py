"""Downloads straight from the object store, whole or in part."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import format_datetime
from pathlib import PurePosixPath
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from odm_gateway.domain.assets import media_type
from odm_gateway.wire.answers import is_known
from shared.objects.port import NoUrlError, ObjectStore, Shown, StoredObject

REDIRECTED_FOR = timedelta(hours=1)
"""Clients that load a large file in parts ask again for each of them, or keep the address meanwhile."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``start <= i < end`` of an object."""

    start: int
    end: int


class UnsatisfiableRangeError(Exception):
    """The range lies behind the object's end."""


def wanted_part(header: str | None, size_bytes: int) -> Part | None:
    """Return the part that a ``Range`` header asks for (RFC 9110, 14.1.2), or None for the whole.

    Several ranges at once, other units and nonsense mean the whole, as the RFC allows.

    Raises:
        UnsatisfiableRangeError: It begins behind the end.
    """
    found = _RANGE.fullmatch((header or "").strip())
    if not found or not (found[1] or found[2]):
        return None
    if not found[1]:
        part = Part(max(0, size_bytes - int(found[2])), size_bytes)
    else:
        part = Part(int(found[1]), min(int(found[2]) + 1, size_bytes) if found[2] else size_bytes)
    if found[1] and found[2] and int(found[2]) < int(found[1]):
        return None
    if part.start >= part.end:
        raise UnsatisfiableRangeError
    return part


async def redirect(request: Request, objects: ObjectStore, stored: StoredObject) -> Response | None:
    """Return an answer that sends the client to the store itself, or None where that cannot be."""
    shown = Shown(
        content_disposition=_disposition(PurePosixPath(stored.key).name),
        content_type=media_type(stored.key),
        is_head=request.method == "HEAD",
    )
    try:
        url = await objects.presign(stored.key, expires=REDIRECTED_FOR, shown=shown)
    except NoUrlError:
        return None
    return Response(status_code=302, headers={"Location": url, "Cache-Control": "no-store"})


def download(request: Request, objects: ObjectStore, stored: StoredObject) -> Response:
    """Return the answer to a GET or HEAD of ``stored``."""
    tag = _tag(stored)
    headers = {
        "Content-Disposition": _disposition(PurePosixPath(stored.key).name),
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Last-Modified": format_datetime(stored.modified_at.astimezone(UTC), usegmt=True),
    }
    if is_known(tag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    fresh = request.headers.get("if-range", tag) == tag
    try:
        part = wanted_part(request.headers.get("range") if fresh else None, stored.size_bytes)
    except UnsatisfiableRangeError:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{stored.size_bytes}"})
    return _content(request, objects, stored, part, headers)


def _content(
    request: Request, objects: ObjectStore, stored: StoredObject, part: Part | None, headers: dict[str, str]
) -> Response:
    size_bytes = part.end - part.start if part else stored.size_bytes
    headers["Content-Length"] = str(size_bytes)
    if part:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{stored.size_bytes}"
    status, kind = 206 if part else 200, media_type(stored.key)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=kind)
    return StreamingResponse(_bytes(objects, stored, part), status, headers, kind)


async def _bytes(objects: ObjectStore, stored: StoredObject, part: Part | None) -> AsyncIterator[bytes]:
    start, end = (part.start, part.end) if part else (0, None)
    async with objects.open(stored.key, start=start, end=end) as chunks:
        async for chunk in chunks:
            yield chunk


def _tag(stored: StoredObject) -> str:
    name = stored.sha256 or stored.etag.strip('"') or f"{stored.size_bytes}-{stored.modified_at.timestamp()}"
    return f'"{name}"'


def _disposition(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]+", name):
        return f"attachment; filename={name}"
    return f"attachment; filename*=UTF-8''{quote(name)}"
