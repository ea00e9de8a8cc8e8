"""A server between client and datalab: hears what passes, and breaks off, refuses or swallows on demand."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

CHUNK_BYTES = 1 << 14
HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "host", "keep-alive", "date", "server"})


@dataclass(frozen=True, slots=True)
class Heard:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class Fault:
    """What goes wrong with requests whose method and path hold ``on``, so many times."""

    on: str
    times: int = 1
    status: int | None = None
    """Answered instead of datalab's."""
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after_bytes: int | None = None
    """Of the answer's body; then the connection ends."""
    without_ranges: bool = False
    """As of a store that does not know them."""
    damaged: bool = False
    """Bytes arrive as zeros."""


@dataclass(slots=True)
class Between:
    """What passes, and what is to happen to it."""

    url: str
    target: str = ""
    heard: list[Heard] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def fail(self, on: str, **how: Any) -> None:
        """Have requests go wrong."""
        self.faults.append(Fault(on, **how))

    def strike(self, what: str) -> Fault | None:
        """Return what goes wrong with a request, counted."""
        for fault in self.faults:
            if fault.on in what and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def asked(self, part: str) -> list[Heard]:
        """Return the requests whose path holds ``part``."""
        return [one for one in self.heard if part in one.path]

    def forget(self) -> None:
        """Forget all."""
        self.heard.clear()
        self.faults.clear()


@contextmanager
def between() -> Iterator[Between]:
    """Serve on a free port until the block ends; ``target`` is to be set."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.between = Between(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.between
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    between: Between
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _pass(self) -> None:
        between = self.server.between
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        between.heard.append(Heard(self.command, self.path, headers))
        fault = between.strike(f"{self.command} {self.path}")
        if fault and fault.status is not None:
            self._answer(fault.status, fault.headers, fault.body)
            return
        if fault and fault.without_ranges:
            headers.pop("range", None)
        status, said, content = self._asked(between.target, headers, body)
        if fault and fault.damaged:
            content = bytes(len(content))
        self._answer(status, said, content, fault.cut_after_bytes if fault else None)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = _pass  # noqa: N815 - the server's names

    def _asked(
        self, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        at = urlsplit(target)
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
        try:
            kept = {name: value for name, value in headers.items() if name not in HOP_BY_HOP}
            connection.request(self.command, self.path, body, kept)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _answer(
        self, status: int, headers: Mapping[str, str], content: bytes, cut_after_bytes: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:cut_after_bytes])
        self.wfile.flush()
        if cut_after_bytes is not None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
