"""Open files without names, through which a process hands bytes to another."""

from __future__ import annotations

import os
import tempfile


def nameless_file() -> int:
    """Return a file in memory where the system has those, else one on disk that nobody else can find."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("scaler")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def read_file(file: int, size_bytes: int) -> bytes:
    """Return the first bytes of an open file, and free what it takes.

    Raises:
        EOFError: There are fewer.
    """
    parts, at = [], 0
    while at < size_bytes:
        part = os.pread(file, size_bytes - at, at)
        if not part:
            raise EOFError(f"{size_bytes} bytes were told and {at} are there")
        parts.append(part)
        at += len(part)
    os.ftruncate(file, 0)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write_file(file: int, content: bytes) -> None:
    """Make ``content`` the whole of an open file."""
    os.ftruncate(file, 0)
    view, at = memoryview(content), 0
    while at < len(content):
        at += os.pwrite(file, view[at:], at)
