"""Downloads straight from the object store, whole or in part (RFC 9110, 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from shared.objects.port import ObjectStore, StoredObject

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


def is_known(tag: str, if_none_match: str) -> bool:
    """Return whether a client says that it has what ``tag`` stands for (RFC 9110, 13.1.2)."""
    known = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in known or tag.removeprefix("W/") in known


def download(
    request: Request, objects: ObjectStore, stored: StoredObject, media_type: str, more: Mapping[str, str]
) -> Response:
    """Return the answer to a GET or HEAD of ``stored``, whose headers have ``more``.

    A part is sent to a GET only, and only while the object is the one that ``If-Range`` names.
    """
    tag = _tag(stored)
    headers = {
        **more,
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Last-Modified": format_datetime(stored.modified_at.astimezone(UTC), usegmt=True),
    }
    if is_known(tag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    is_for_part = request.method == "GET" and request.headers.get("if-range", tag) == tag
    try:
        part = wanted_part(request.headers.get("range") if is_for_part else None, stored.size_bytes)
    except UnsatisfiableRangeError:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{stored.size_bytes}"})
    size_bytes = part.end - part.start if part else stored.size_bytes
    headers["Content-Length"] = str(size_bytes)
    if part:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{stored.size_bytes}"
    status = 206 if part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(_bytes(objects, stored, part), status, headers, media_type)


async def _bytes(objects: ObjectStore, stored: StoredObject, part: Part | None) -> AsyncIterator[bytes]:
    start, end = (part.start, part.end) if part else (0, None)
    async with objects.open(stored.key, start=start, end=end) as chunks:
        async for chunk in chunks:
            yield chunk


def _tag(stored: StoredObject) -> str:
    name = stored.sha256 or stored.etag.strip('"') or f"{stored.size_bytes}-{stored.modified_at.timestamp()}"
    return f'"{name}"'
