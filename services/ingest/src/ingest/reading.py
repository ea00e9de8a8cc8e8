"""Content on its way from a source to the object store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from ingest.domain.images import MAGIC_BYTES, TAIL_BYTES
from shared.errors import PermanentError, TransientError
from shared.streams import Chunk


class Reading:
    """Passes chunks on, remembers the first and the last bytes, and whether it was the source that failed."""

    def __init__(self, chunks: AsyncIterator[Chunk], passed: Callable[[int], None]) -> None:
        self._chunks = chunks
        self._passed = passed
        self._first: list[Chunk] = []
        self.tail = b""
        self.failure: Exception | None = None

    async def begin(self) -> bytes:
        """Return the first bytes."""
        while sum(map(len, self._first)) < MAGIC_BYTES and (chunk := await self._next()):
            self._first.append(chunk)
        return b"".join(chunk[:MAGIC_BYTES] for chunk in self._first)[:MAGIC_BYTES]

    async def chunks(self) -> AsyncIterator[Chunk]:
        """Yield the content from where it begins."""
        first, self._first = self._first, []
        for chunk in first:
            yield self._noted(chunk)
        del first
        while chunk := await self._next():
            yield self._noted(chunk)

    async def _next(self) -> Chunk:
        try:
            async for chunk in self._chunks:
                if chunk:
                    return chunk
        except (PermanentError, TransientError) as error:
            self.failure = error
            raise
        return b""

    def _noted(self, chunk: Chunk) -> Chunk:
        last = bytes(chunk[-TAIL_BYTES:])
        self.tail = last if len(last) == TAIL_BYTES else (self.tail + last)[-TAIL_BYTES:]
        self._passed(len(chunk))
        return chunk


async def last_bytes(path: Path) -> bytes:
    """Return the last bytes of a local file."""

    def read() -> bytes:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return file.read()

    try:
        return await asyncio.to_thread(read)
    except OSError as error:
        raise TransientError(f"{path}: {error.strerror}") from error


async def blocks(chunks: AsyncIterator[Chunk], size_bytes: int) -> AsyncIterator[bytes]:
    """Yield content in blocks of one size; the last one is smaller, none is empty."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        while len(waiting) >= size_bytes:
            yield bytes(memoryview(waiting)[:size_bytes])
            del waiting[:size_bytes]
    if waiting:
        yield bytes(waiting)
