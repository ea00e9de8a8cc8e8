"""What tests write, and by which hash it is known."""

from __future__ import annotations

import hashlib

from shared.dav import Dav, DavResource

IMAGE = bytes(range(256)) * 4000


def sha256(content: bytes) -> str:
    """Return what ``write_new`` wants to be told."""
    return hashlib.sha256(content).hexdigest()


async def written(dav: Dav, path: str, content: bytes = IMAGE) -> DavResource:
    """Write a new file."""
    return await dav.write_new(path, content, sha256=sha256(content))


async def read(dav: Dav, path: str, etag: str = "", size_bytes: int | None = None) -> bytes:
    """Return a file's content."""
    async with dav.read(path, etag=etag, size_bytes=size_bytes) as chunks:
        return b"".join([chunk async for chunk in chunks])
