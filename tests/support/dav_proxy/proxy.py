"""The proxy: one connection to the server for each of a client's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from tests.support.dav_proxy.faults import (
    Answer,
    Cut,
    Delay,
    Drop,
    Duplicate,
    Fault,
    Kill,
    Meanwhile,
    Respond,
    Rewrite,
)
from tests.support.dav_proxy.messages import Head, answer_body, read_head, request_body, unchunked
from tests.support.dav_proxy.rules import Met, Rule, Rules

F = TypeVar("F")

_MOST_HEAD_BYTES = 256 << 10
_SOME_BYTES = 2000
"""Of a body in chunks, whose middle nobody knows; and nothing of a request without a body."""


class _EndedError(Exception):
    """A fault has ended the connection, or either side has."""


@dataclass
class DavProxy:
    """A proxy that listens; rules may be added and taken away at any time."""

    upstream: tuple[str, int]
    url: str = ""
    victim: Callable[[], object] | None = None
    """Kills the process that `Kill` is about."""
    killed: threading.Event = field(default_factory=threading.Event)
    rules: Rules = field(default_factory=Rules)

    @property
    def requests(self) -> list[Met]:
        """Return what came by, in the order in which it came."""
        return self.rules.requests

    def add(self, *rules: Rule) -> None:
        """Put rules in force."""
        self.rules.rules.extend(rules)

    def clear(self) -> None:
        """Let everything go well from now on, and forget what came by."""
        self.rules.clear()
        self.killed.clear()

    def kill_victim(self) -> None:
        """Kill the client process, at once and for good."""
        if self.victim is not None and not self.killed.is_set():
            self.victim()
            self.killed.set()


@contextmanager
def dav_proxy(upstream: tuple[str, int]) -> Iterator[DavProxy]:
    """Run a proxy in a thread of its own until the block ends."""
    proxy, loop, is_up = DavProxy(upstream), asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    def run() -> None:
        loop.run_until_complete(_serve(proxy, is_up, stop))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run, name="dav proxy", daemon=True)
    thread.start()
    assert is_up.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


async def _serve(proxy: DavProxy, is_up: threading.Event, stop: asyncio.Event) -> None:
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_connection(proxy, reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=_MOST_HEAD_BYTES)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    is_up.set()
    await stop.wait()
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


async def _connection(proxy: DavProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with _upstream(proxy) as (up_reader, up_writer):
            exchange = _Exchange(proxy, reader, writer, up_reader, up_writer)
            while await exchange.next():
                pass
    except (_EndedError, ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def _upstream(proxy: DavProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*proxy.upstream, limit=_MOST_HEAD_BYTES)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@dataclass
class _Exchange:
    """The requests of one connection, one after the other."""

    proxy: DavProxy
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    up_reader: asyncio.StreamReader
    up_writer: asyncio.StreamWriter

    async def next(self) -> bool:
        """Pass one request on; return whether another one may follow."""
        head = await read_head(self.reader)
        if head is None:
            return False
        met, faults = self.proxy.rules.strike(head)
        for fault in faults:
            await self._before(fault)
        if (instead := _of(faults, Respond)) and not instead.after_work:
            await self._swallow(head)
            await self._send(instead.answer(), head)
            return True
        await self._forward(head, faults)
        answer_head = await self._answer_head()
        met.status = answer_head.status
        return await self._answer(head, answer_head, faults)

    async def _before(self, fault: Fault) -> None:
        match fault:
            case Delay(seconds):
                await asyncio.sleep(seconds)
            case Drop("request"):
                raise _EndedError
            case Meanwhile(happens):
                happens()
            case Kill("before"):
                self.proxy.kill_victim()
                raise _EndedError
            case _:
                pass  # comes later

    async def _swallow(self, head: Head) -> None:
        async for _ in request_body(head, self.reader):
            pass

    async def _forward(self, head: Head, faults: list[Fault]) -> None:
        """Send the request on, or a part of it."""
        if _of(faults, Duplicate):
            await self._forward_twice(head)
            return
        at_bytes = self._end_of_request(head, faults)
        self.up_writer.write(head.encoded())
        sent = 0
        body = request_body(head, self.reader)
        async for block in body:
            if at_bytes is not None and sent + len(block) >= at_bytes:
                self.up_writer.write(block[: at_bytes - sent])
                await self._end_midway(faults)
            self.up_writer.write(block)
            await self.up_writer.drain()
            sent += len(block)
        if at_bytes is not None:
            await self._end_midway(faults)

    def _end_of_request(self, head: Head, faults: list[Fault]) -> int | None:
        cut, kill = _of(faults, Cut), _of(faults, Kill)
        if cut and cut.what == "request":
            return cut.at_bytes
        if kill and kill.when == "midway":
            return int(head.get("Content-Length") or _SOME_BYTES) // 2
        return None

    async def _end_midway(self, faults: list[Fault]) -> None:
        """End the connection when the server has a part of the request."""
        if _of(faults, Kill):
            self.proxy.kill_victim()
        with contextlib.suppress(ConnectionError):
            await self.up_writer.drain()
            self.up_writer.close()
            await self.up_writer.wait_closed()
        raise _EndedError

    async def _forward_twice(self, head: Head) -> None:
        body = b"".join([block async for block in request_body(head, self.reader)])
        for is_last in (False, True):
            self.up_writer.write(head.encoded() + body)
            await self.up_writer.drain()
            if not is_last:
                first = await self._answer_head()
                async for _ in answer_body(first, head.method, self.up_reader):
                    pass

    async def _answer_head(self) -> Head:
        """Return the head of the final answer."""
        while True:
            head = await read_head(self.up_reader)
            if head is None:
                raise _EndedError
            if head.status >= 200:
                return head
            self.writer.write(head.encoded())

    async def _answer(self, request: Head, head: Head, faults: list[Fault]) -> bool:
        """Send the answer back, or what becomes of it."""
        drop, kill, respond = _of(faults, Drop), _of(faults, Kill), _of(faults, Respond)
        if drop or kill or respond or _of(faults, Rewrite):
            answer = await self._whole(request, head)
            if kill:
                self.proxy.kill_victim()
            if kill or drop:
                raise _EndedError
            await self._send(_changed(respond.answer() if respond else answer, faults), request)
            return True
        cut = _of(faults, Cut)
        left = cut.at_bytes if cut else None
        self.writer.write(head.encoded())
        async for block in answer_body(head, request.method, self.up_reader):
            self.writer.write(block if left is None else block[:left])
            await self.writer.drain()
            left = None if left is None else max(0, left - len(block))
            if left == 0:
                raise _EndedError
        return not _is_last(head)

    async def _whole(self, request: Head, head: Head) -> Answer:
        body = b"".join([block async for block in answer_body(head, request.method, self.up_reader)])
        if head.get("Transfer-Encoding"):
            body = unchunked(body)
            head = head.without("Transfer-Encoding").with_header("Content-Length", str(len(body)))
        return Answer(head, body)

    async def _send(self, answer: Answer, request: Head) -> None:
        self.writer.write(answer.head.encoded() + (b"" if request.method == "HEAD" else answer.body))
        await self.writer.drain()
        said = answer.head.get("Content-Length")
        if said and int(said) != len(answer.body) and request.method != "HEAD":
            self.writer.close()
            await self.writer.wait_closed()
            raise _EndedError


def _changed(answer: Answer, faults: list[Fault]) -> Answer:
    for fault in faults:
        if isinstance(fault, Rewrite):
            answer = fault.change(answer)
    return answer


def _is_last(head: Head) -> bool:
    is_framed = bool(head.get("Transfer-Encoding") or head.get("Content-Length") or head.status in (204, 304))
    return not is_framed or head.get("Connection").lower() == "close"


def _of(faults: list[Fault], kind: type[F]) -> F | None:
    return next((fault for fault in faults if isinstance(fault, kind)), None)
