"""A TCP way to a server that can be closed: who comes then is turned away, and who is there is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

PIECE_BYTES = 1 << 16


@dataclass(slots=True)
class Gate:
    """The way to a server on this machine."""

    to_port: int
    port: int = 0
    is_open: bool = True
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def close(self) -> None:
        """Let nothing through until it is opened again."""
        self.is_open = False
        for writer in self._writers:
            writer.transport.abort()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until one side ends."""
        if not self.is_open:
            writer.transport.abort()
            return
        there_reader, there = await asyncio.open_connection("127.0.0.1", self.to_port)
        self._writers |= {writer, there}
        try:
            with suppress(OSError):
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(_carry(reader, there))
                    ways.create_task(_carry(there_reader, writer))
        finally:
            self._writers -= {writer, there}


@asynccontextmanager
async def gate_to(port: int) -> AsyncIterator[Gate]:
    """Open a way to a port of this machine until the block ends."""
    gate = Gate(port)
    server = await asyncio.start_server(gate.pass_on, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        gate.close()
        server.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
