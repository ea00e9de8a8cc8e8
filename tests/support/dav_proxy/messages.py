"""HTTP messages as they go over the wire, as far as a proxy must understand them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

_BLOCK_BYTES = 128 << 10
_BODILESS = (204, 304)


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the headers of a request or an answer."""

    first: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return a header's value; empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def with_header(self, name: str, value: str) -> Head:
        """Return the head with a header replaced or added."""
        others = tuple(header for header in self.headers if header[0].lower() != name.lower())
        return replace(self, headers=(*others, (name, value)))

    def without(self, name: str) -> Head:
        """Return the head without a header."""
        return replace(self, headers=tuple(one for one in self.headers if one[0].lower() != name.lower()))

    @property
    def method(self) -> str:
        """Return a request's method."""
        return self.first.split(" ")[0]

    @property
    def target(self) -> str:
        """Return a request's address, as it was sent."""
        return self.first.split(" ")[1]

    @property
    def status(self) -> int:
        """Return an answer's status."""
        return int(self.first.split(" ")[1])

    def encoded(self) -> bytes:
        """Return the head as it is sent."""
        lines = (self.first, *(f"{name}: {value}" for name, value in self.headers), "", "")
        return "\r\n".join(lines).encode("latin-1")


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read a head; none where the connection has ended."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Head(first, tuple((name, value.strip()) for name, _, value in pairs))


def request_body(head: Head, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Return a request's body as it is on the wire, in blocks."""
    if head.get("Transfer-Encoding"):
        return _chunked(reader)
    return _sized(reader, int(head.get("Content-Length") or 0))


def answer_body(head: Head, method: str, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Return an answer's body as it is on the wire, in blocks."""
    if method == "HEAD" or head.status in _BODILESS:
        return _sized(reader, 0)
    if head.get("Transfer-Encoding"):
        return _chunked(reader)
    length = head.get("Content-Length")
    return _sized(reader, int(length)) if length else _rest(reader)


async def _sized(reader: asyncio.StreamReader, left: int) -> AsyncIterator[bytes]:
    while left:
        block = await reader.read(min(left, _BLOCK_BYTES))
        if not block:
            raise ConnectionError("the body ended early")
        left -= len(block)
        yield block


async def _rest(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while block := await reader.read(_BLOCK_BYTES):
        yield block


async def _chunked(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield chunks with their framing."""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        yield line
        if not size:
            break
        async for block in _sized(reader, size + 2):
            yield block
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        yield line
    yield line


def unchunked(body: bytes) -> bytes:
    """Return a body without the framing of its chunks."""
    parts = []
    while body:
        line, _, body = body.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if not size:
            break
        parts.append(body[:size])
        body = body[size + 2 :]
    return b"".join(parts)
