"""What is sent: in pieces, and again from the start when another connection is tried. Needs aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from typing_extensions import override

from shared.dav.content import Content, is_file, size_of
from shared.errors import TransientError

PIECE_BYTES = 256 << 10
PIECE_WITHIN_S = 60.0


class Upload(Payload):
    """Content of a known size; aiohttp alone would write large ones at once, and wait for ever."""

    def __init__(self, content: Content) -> None:
        super().__init__(content, content_type="application/octet-stream")
        self._size = size_of(content)

    @override
    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return f"{self._size} bytes"  # only ever shown

    @override
    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    @override
    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write all of it; a server that takes nothing for a while is given up."""
        if is_file(self._value):
            await asyncio.to_thread(self._value.seek, 0)
            while piece := await asyncio.to_thread(self._value.read, PIECE_BYTES):
                await _written(writer, piece)
            return
        for part in _parts(memoryview(self._value).cast("B")):
            await _written(writer, part)


async def _written(writer: AbstractStreamWriter, piece: bytes | memoryview) -> None:
    try:
        async with asyncio.timeout(PIECE_WITHIN_S):
            await writer.write(piece)
            await writer.drain()
    except TimeoutError:
        raise TransientError(f"the server has taken nothing for {PIECE_WITHIN_S:.0f} s") from None


def _parts(view: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(view), PIECE_BYTES):
        yield view[start : start + PIECE_BYTES]
