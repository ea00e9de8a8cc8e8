"""Streams of bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias

Chunk: TypeAlias = bytes | memoryview
"""A piece of a stream; whoever keeps many small ones copies them."""


async def nothing() -> AsyncIterator[bytes]:
    """Yield no bytes, as the content of an empty file does."""
    return
    yield
