"""ETags: told in several forms, compared in one.

Servers and proxies leave out quotes or put ``W/`` before them, for the same file from one second to the next.
Here an ETag is what stands between the quotes, with quotes; whether it was weak is told beside it. Where a
server tells none, size and time of change stand in for it; such a stand-in is never sent.
"""

from __future__ import annotations

_WEAK = "W/"
_INSTEAD = "modified:"


def quoted(etag: str) -> str:
    """Return an ETag in the one form; nothing where there is none."""
    bare = etag.strip().removeprefix(_WEAK).strip('"')
    return f'"{bare}"' if bare and bare.isprintable() else ""


def is_weak(etag: str) -> bool:
    """Return whether a server says that two contents may share this ETag."""
    return etag.strip().startswith(_WEAK)


def stand_in(modified: str, size_bytes: int | None) -> str:
    """Return what to compare by where a server tells no ETag; nothing where nothing is told."""
    return f"{_INSTEAD}{modified}/{size_bytes}" if modified and size_bytes is not None else ""


def is_told(etag: str) -> bool:
    """Return whether a server told this ETag, so that it can be asked about it."""
    return bool(etag) and not etag.startswith(_INSTEAD)
