"""HTTP/1.1 load over kept connections, light enough not to be what is measured."""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Figures:
    """What was seen of one kind of request."""

    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    sent_s: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def take(self) -> bytes | None:
        """Return the answer's status line once the whole answer is there."""
        head, found, body = bytes(self.received).partition(b"\r\n\r\n")
        if not found:
            return None
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if len(body) < length:
            return None
        self.received.clear()
        return head.partition(b"\r\n")[0]


def load(url: str, *, connections: int, seconds: float) -> Figures:
    """Send GETs to ``url``, one after the other on each connection.

    Raises:
        RuntimeError: An answer is no 200.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    with selectors.DefaultSelector() as ready:
        opened = [_Connection(socket.create_connection(address)) for _ in range(connections)]
        for connection in opened:
            ready.register(connection.sock, selectors.EVENT_READ, connection)
            _send(connection, request)
        took_s = _answered(ready, request, time.perf_counter() + seconds)
        for connection in opened:
            connection.sock.close()
    took_s.sort()
    return Figures(
        len(took_s) / seconds, took_s[len(took_s) // 2] * 1000, took_s[int(len(took_s) * 0.99)] * 1000
    )


def _answered(ready: selectors.BaseSelector, request: bytes, until_s: float) -> list[float]:
    took_s: list[float] = []
    while time.perf_counter() < until_s:
        for key, _ in ready.select(timeout=1):
            connection: _Connection = key.data
            connection.received += connection.sock.recv(1 << 18)
            status = connection.take()
            if status is None:
                continue
            if b" 200" not in status:
                raise RuntimeError(f"answered {status.decode()}")
            took_s.append(time.perf_counter() - connection.sent_s)
            _send(connection, request)
    return took_s


def _send(connection: _Connection, request: bytes) -> None:
    connection.sent_s = time.perf_counter()
    connection.sock.sendall(request)
