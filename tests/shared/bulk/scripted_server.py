"""A server that answers each request with the bytes that a test wrote down, and counts its connections."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from yarl import URL


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, bit by bit, and what is done then."""

    parts: tuple[bytes, ...] = ()
    pause_s: float = 0.0
    """Before each part but the first."""
    then_hang_up: bool = False
    then_wait: bool = False
    """Until the client goes."""


def whole(body: bytes, status: str = "200 OK", *, then_hang_up: bool = False) -> Answer:
    """Return an ordinary answer."""
    head = f'HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nETag: "e"\r\n\r\n'.encode()
    return Answer((head + body,), then_hang_up=then_hang_up)


@dataclass
class ScriptedServer:
    """A running server."""

    answers: deque[Answer] = field(default_factory=deque)
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went while it was kept waiting."""
    url: URL = field(default_factory=URL)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        try:
            while await self._answered(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        self.bodies.append(await reader.readexactly(int(fields.get("content-length", "0"))))
        answer = self.answers.popleft()
        for number, part in enumerate(answer.parts):
            await asyncio.sleep(answer.pause_s if number else 0)
            writer.write(part)
            await writer.drain()
        if answer.then_wait:
            await reader.read()
            self.gone.set()
        return not (answer.then_hang_up or answer.then_wait)


@asynccontextmanager
async def scripted_server(
    *answers: Answer, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedServer]:
    """Run a server until the block ends."""
    server = ScriptedServer(deque(answers))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.url = URL(f"{'https' if tls else 'http'}://127.0.0.1:{port}/a%20b?c=d")
    async with listening:
        yield server
