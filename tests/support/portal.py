"""An observation portal: profiles by token, over TCP, with faults."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override


@dataclass(slots=True)
class Portal:
    """What the portal knows, and what it was asked."""

    users: dict[str, str] = field(default_factory=dict)
    """Names by token."""
    status: int | None = None
    """Answered to everything, where it is set."""
    body: bytes | None = None
    """Answered in the place of a profile, where it is set."""
    asked: Counter[str] = field(default_factory=Counter)
    """How often each token was shown."""
    url: str = ""


def profile(name: str, token: str) -> dict[str, Any]:
    """Return what a portal tells of a user."""
    return {
        "username": name,
        "email": f"{name}@example.org",
        "first_name": name,
        "last_name": "",
        "is_staff": False,
        "is_superuser": False,
        "proposals": [{"id": "P1", "title": "A proposal", "current": True}],
        "tokens": {"api_token": token},
    }


class _Server(ThreadingHTTPServer):
    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up in the middle of an answer."""


@contextmanager
def running_portal() -> Iterator[Portal]:
    """Run a portal while the block runs."""
    portal = Portal()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            scheme, _, token = self.headers.get("Authorization", "").partition(" ")
            portal.asked[token] += 1
            name = portal.users.get(token) if scheme == "Token" else None
            if portal.status is not None:
                self._answer(portal.status, b"trouble")
            elif self.path != "/api/profile/":
                self._answer(404, b"{}")
            elif name is None:
                self._answer(401, b'{"detail": "Invalid token."}')
            else:
                self._answer(200, portal.body or json.dumps(profile(name, token)).encode())

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    portal.url = f"http://127.0.0.1:{server.server_address[1]}/api/"
    try:
        yield portal
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
