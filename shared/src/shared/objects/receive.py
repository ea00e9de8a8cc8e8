"""Brings content into a file, in threads, in memory that does not grow with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self, TypeVar

from shared.errors import NotFoundError
from shared.objects.disk import Incoming
from shared.objects.port import ContentError
from shared.streams import Chunk
from shared.threads import finished

T = TypeVar("T")

BUFFER_BYTES = 4 << 20


async def receive(incoming: Incoming, content: AsyncIterator[Chunk] | Path, size_bytes: int | None) -> None:
    """Write ``content`` to ``incoming``; a stream ends early once it exceeds ``size_bytes``.

    Raises:
        ContentError: More than ``size_bytes`` arrived.
        NotFoundError: ``content`` is a file that is not there.
    """
    try:
        if isinstance(content, Path):
            await finished(lambda: _copy_file(incoming, content))
        else:
            await _receive_stream(incoming, content, size_bytes)
    finally:
        if incoming.flushing:
            await finished(incoming.settle)


async def _receive_stream(incoming: Incoming, content: AsyncIterator[Chunk], size_bytes: int | None) -> None:
    """Write one buffer while the next one fills."""
    waiting: list[Chunk] = []
    waiting_bytes = arrived_bytes = 0
    async with _Writing(incoming) as writing:
        async for chunk in content:
            waiting.append(chunk)
            waiting_bytes += len(chunk)
            arrived_bytes += len(chunk)
            if size_bytes is not None and arrived_bytes > size_bytes:
                raise ContentError(f"more than the promised {size_bytes} bytes arrived")
            if waiting_bytes >= BUFFER_BYTES:
                await writing.write(waiting)
                waiting, waiting_bytes = [], 0
        await writing.write(waiting)


class _Writing:
    """Writes to ``incoming`` in a thread, one list of chunks at a time; leaving the block waits for it."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._running: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if self._running:
            await asyncio.wait([self._running])
            if error is None:
                self._running.result()

    async def write(self, chunks: list[Chunk]) -> None:
        """Begin to write ``chunks``, once those before are written."""
        if self._running:
            await asyncio.shield(self._running)
        self._running = asyncio.ensure_future(asyncio.to_thread(self._incoming.write, chunks))


def _copy_file(incoming: Incoming, path: Path) -> None:
    try:
        with path.open("rb") as file:
            incoming.copy(file.fileno())
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path} to store") from error
