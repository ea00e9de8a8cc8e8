"""Streams of bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator


async def nothing() -> AsyncIterator[bytes]:
    """Yield no bytes, as the content of an empty file does."""
    return
    yield
