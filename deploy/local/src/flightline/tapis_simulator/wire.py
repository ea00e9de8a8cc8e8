"""How a body goes over the wire: in chunks and whole, or as faults want it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import NoReturn

from aiohttp import web

from flightline.tapis_simulator.asking import TAPIS, call_of, wants
from flightline.tapis_simulator.contents import Content, OnDisk
from flightline.tapis_simulator.faults import Fault

_WRITE_BYTES = 1 << 16
_MOST_BUFFERED_BYTES = 1 << 20
_DRIPS_PER_S = 10

Body = AsyncIterator[bytes]


async def read(content: Content) -> Body:
    """Return what is in a file, without blocking."""
    pieces = content.chunks()
    if not isinstance(content, OnDisk):
        for piece in pieces:
            yield piece
        return
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


async def part(body: Body, start: int, count: int) -> Body:
    """Return ``count`` bytes from ``start`` on."""
    async for piece in body:
        kept = piece[start : start + count] if start < len(piece) else b""
        start = max(0, start - len(piece))
        count -= len(kept)
        if kept:
            yield kept
        if count <= 0:
            return


async def send(request: web.Request, body: Body, headers: dict[str, str]) -> web.StreamResponse:
    """Answer 200 with a body whose length is not told beforehand, as Tapis does."""
    if fault := wants(request, "eof"):
        await _send_unframed(request, part(body, 0, fault.at_bytes), headers)
    response = web.StreamResponse(headers=headers)
    response.enable_chunked_encoding()
    await response.prepare(request)
    async for piece in _paced(body, wants(request, "drip", "cut")):
        await response.write(piece)
        _count(request, piece)
    if wants(request, "cut"):
        end_connection(request)
    await response.write_eof()
    return response


async def _paced(body: Body, fault: Fault | None) -> Body:
    if fault is not None and fault.kind == "cut":
        body = part(body, 0, fault.at_bytes)
    drip_bytes = 0 if fault is None or fault.kind != "drip" else max(1, int(fault.bytes_per_s / _DRIPS_PER_S))
    async for piece in body:
        for drop in _split(piece, drip_bytes or len(piece)):
            yield drop
            if drip_bytes:
                await asyncio.sleep(len(drop) / (fault.bytes_per_s if fault else 1))


def _split(piece: bytes, size_bytes: int) -> Iterator[bytes]:
    for start in range(0, len(piece), size_bytes):
        yield piece[start : start + size_bytes]


async def _send_unframed(request: web.Request, body: Body, headers: dict[str, str]) -> NoReturn:
    """Send a body that ends where the connection does, so that a short one looks whole."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    await _write(request, f"HTTP/1.1 200 OK\r\n{head}Connection: close\r\n\r\n".encode())
    async for piece in body:
        for small in _split(piece, _WRITE_BYTES):
            await _write(request, small)
            _count(request, small)
    end_connection(request)


async def _write(request: web.Request, data: bytes) -> None:
    transport = request.transport
    while transport is not None and transport.get_write_buffer_size() > _MOST_BUFFERED_BYTES:
        if transport.is_closing():
            return
        await asyncio.sleep(0.005)
    if transport is not None:
        transport.write(data)


def end_connection(request: web.Request, *, at_once: bool = False) -> NoReturn:
    """End the connection, once what was written is sent, or at once and without an answer.

    Raises:
        ConnectionAbortedError: Always, so that nothing more is written.
    """
    if request.transport is not None:
        request.transport.abort() if at_once else request.transport.close()
    raise ConnectionAbortedError("a fault ended the connection")


def _count(request: web.Request, piece: bytes) -> None:
    request.app[TAPIS].calls.bytes_sent[call_of(request).operation] += len(piece)
