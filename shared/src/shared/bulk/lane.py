"""Connections to HTTP servers, and the threads that use them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from multidict import CIMultiDict
from yarl import URL

from shared.bulk.buffers import Buffers
from shared.bulk.connection import Allowed, Ask, Connection, Peer, Terms
from shared.streams import Chunk

T = TypeVar("T")

CONNECTIONS_AT_MOST = 16
KEPT_BUFFERS = 64
IDLE_AT_MOST_S = 15.0


@dataclass(frozen=True, slots=True)
class BulkAnswer:
    """An answer whose body is still to be read."""

    url: URL
    status: int
    headers: Mapping[str, str]
    read: Callable[[], Awaitable[Chunk]]
    """Returns the next bytes of the body; none at its end."""

    @property
    def content_length(self) -> int | None:
        """Return how long the body is, where the server tells."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() else None


@asynccontextmanager
async def open_bulk(
    *,
    allowed: Allowed,
    connections: int = CONNECTIONS_AT_MOST,
    connect_s: float = 15,
    read_s: float = 60,
    ca_file: str | None = None,
) -> AsyncIterator[Bulk]:
    """Open a lane for large bodies. Proxies of the environment are not used, and no cookies are kept.

    Args:
        allowed: Tells which of a host's addresses may be connected to; these are the ones that are.
        connections: How many there may be at once, each with a thread.
        connect_s: How long to wait for a connection.
        read_s: How long to wait for the next bytes.
        ca_file: Whom to trust instead of whom this machine trusts.
    """
    bulk = Bulk(Terms(allowed, connect_s, read_s, ca_file), connections)
    try:
        yield bulk
    finally:
        bulk.close()


class Bulk:
    """Sends and receives, and keeps connections for a while."""

    def __init__(self, terms: Terms, connections: int) -> None:
        self._terms = terms
        self._connections = connections
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="bulk")
        self._slots = asyncio.Semaphore(connections)
        self._buffers = Buffers(KEPT_BUFFERS)
        self._idle: deque[tuple[float, Connection]] = deque()
        """Since when; the last one used is the last."""
        self._sweeping: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def exchange(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        pieces: Sequence[Chunk] = (),
    ) -> AsyncIterator[BulkAnswer]:
        """Send a request, with a body in ``pieces``, and yield what is answered, redirects too.

        Raises:
            OSError: The server cannot be reached, hung up or is no HTTP server.
        """
        size_bytes = sum(map(len, pieces))
        always = {
            "Host": url.host_port_subcomponent or "",
            "User-Agent": "flightline",
            "Accept": "*/*",
            **({"Content-Length": str(size_bytes)} if pieces else {}),
        }
        ask = Ask(method, url.raw_path_qs, {**always, **headers}, pieces)
        async with self._slots:
            connection = self._connection(Peer(url.scheme, url.raw_host or "", url.port or 0))
            try:
                head = await self._in_thread(connection, partial(connection.begin, ask))
                fields = CIMultiDict(head.getheaders())
                yield BulkAnswer(url, head.status, fields, partial(self._read, connection, deque()))
            finally:
                self._done_with(connection)

    def close(self) -> None:
        """Close connections; threads end with what they do, which nobody waits for any more."""
        if self._sweeping:
            self._sweeping.cancel()
        for _, connection in self._idle:
            connection.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _read(self, connection: Connection, waiting: deque[memoryview]) -> Chunk:
        """Return the next bytes; a thread is asked for several buffers at a time."""
        if not waiting and not connection.is_at_end:
            waiting.extend(await self._in_thread(connection, partial(connection.read, self._buffers)))
        return waiting.popleft() if waiting else b""

    async def _in_thread(self, connection: Connection, work: Callable[[], T]) -> T:
        """Let a thread work; it is not waited for when we are cancelled, but ends very soon."""
        running = self._threads.submit(work)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            connection.abort()
            running.add_done_callback(lambda _: connection.close())  # by the thread, or now if it has ended
            raise

    def _connection(self, peer: Peer) -> Connection:
        for place in reversed(range(len(self._idle))):
            if self._idle[place][1].peer == peer:
                connection = self._idle[place][1]
                del self._idle[place]
                return connection
        return Connection(peer, self._terms)

    def _done_with(self, connection: Connection) -> None:
        if connection.is_aborted:  # its thread may still use it, and closes it
            return
        if connection.is_reusable:
            if len(self._idle) == self._connections:
                self._idle.popleft()[1].close()
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()
        if self._sweeping is None:
            self._sweep_later()

    def _sweep(self) -> None:
        """Close what was not used for a while; if nothing is left, its memory goes too."""
        self._sweeping = None
        while self._idle and time.monotonic() - self._idle[0][0] >= IDLE_AT_MOST_S:
            self._idle.popleft()[1].close()
        if self._idle:
            self._sweep_later()
        else:
            self._buffers.clear()

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(IDLE_AT_MOST_S / 2, self._sweep)
