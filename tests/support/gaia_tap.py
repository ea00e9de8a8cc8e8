"""A TAP service with stars of our own, which misbehaves on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from astropy.table import Table
from typing_extensions import override

from flightline.archive_simulator.gaia import Gaia, error_table, gaia_stars

__all__ = ["GaiaTap", "gaia_stars", "gaia_tap"]

VOTABLE = "application/x-votable+xml"


@dataclass
class GaiaTap(Gaia):
    """What the service has, what it was asked, and how it misbehaves."""

    queries: list[str] = field(default_factory=list)
    fault: str = ""
    """``refuse``, ``fail``, ``slow``, ``garbage``, ``endless``, ``hang up``, or nothing."""
    url: str = ""

    @override
    def answer(self, form: Mapping[str, Sequence[str]]) -> tuple[int, bytes]:
        self.queries.append(form.get("QUERY", [""])[0])
        if self.fault == "refuse":
            return 400, error_table("Cannot parse query <here>")
        return super().answer(form)


@contextmanager
def gaia_tap(stars: Table) -> Iterator[GaiaTap]:
    """Serve stars until the end of the block."""
    service = GaiaTap(stars)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/tap/sync":
                self.send_error(404)
            elif service.fault in _FAULTS:
                _FAULTS[service.fault](self)
            else:
                self._send(*service.answer(parse_qs(body.decode())))

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", VOTABLE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        @override
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}/tap"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


def _fail(request: BaseHTTPRequestHandler) -> None:
    request.send_error(503)


def _begin(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Type", VOTABLE)
    request.end_headers()


def _drip(request: BaseHTTPRequestHandler) -> None:
    _begin(request)
    for _ in range(200):
        request.wfile.write(b" ")
        request.wfile.flush()
        time.sleep(0.05)


def _garbage(request: BaseHTTPRequestHandler) -> None:
    _begin(request)
    request.wfile.write(b"<html>Down for maintenance.</html>")


def _endless(request: BaseHTTPRequestHandler) -> None:
    _begin(request)
    for _ in range(5000):
        request.wfile.write(b" " * 65536)


def _hang_up(request: BaseHTTPRequestHandler) -> None:
    request.connection.close()


_FAULTS = {
    "fail": _fail,
    "slow": _drip,
    "garbage": _garbage,
    "endless": _endless,
    "hang up": _hang_up,
}
