"""A WebDAV server over TCP: wsgidav on a folder, with a login."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from cheroot.wsgi import Server
    from wsgidav.wsgidav_app import WsgiDAVApp  # type: ignore[import-untyped]

USER, PASSWORD = "anna", "app:password"
_THREADS = 8


@dataclass(frozen=True, slots=True)
class DavServer:
    """A running server and the folder that it shows."""

    host: str
    """With its port."""
    folder: Path

    @property
    def login(self) -> str:
        """Return user and password, as settings take them."""
        return f"{USER}:{PASSWORD}"


@contextmanager
def dav_server(folder: Path) -> Iterator[DavServer]:
    """Run a server on a folder until the block ends."""
    application = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(folder)},
            "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "dir_browser": {"enable": False},
            "verbose": 1,
        }
    )
    server = Server(("127.0.0.1", 0), application, numthreads=_THREADS)
    server.shutdown_timeout = 1
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield DavServer(f"127.0.0.1:{server.bind_addr[1]}", folder)
    finally:
        server.stop()
        thread.join(10)
