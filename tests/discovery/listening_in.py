"""Somebody on the wire between a client and a server, who keeps all that the client sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


@asynccontextmanager
async def listening_in(url: str) -> AsyncIterator[tuple[str, bytearray]]:
    """Stand between clients and the server at ``url``; yield where clients go instead, and what they send."""
    sent = bytearray()
    server = urlsplit(url)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection(server.hostname, server.port)
        await asyncio.gather(_copied(reader, onward, sent), _copied(there, writer))

    listener = await asyncio.start_server(forward, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", sent
    finally:
        listener.close()


async def _copied(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray | None = None
) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            if kept is not None:
                kept += data
            writer.write(data)
            await writer.drain()
    writer.close()
