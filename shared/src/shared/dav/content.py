"""What can be written: bytes, or a file that is open for reading."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

Content = bytes | bytearray | memoryview | BinaryIO


def size_of(content: Content) -> int:
    """Return how many bytes there are."""
    if is_file(content):
        return cast("BinaryIO", content).seek(0, 2)
    return memoryview(cast("bytes", content)).nbytes


def is_file(content: Any) -> bool:
    """Return whether content is read from a file."""
    return hasattr(content, "read")
