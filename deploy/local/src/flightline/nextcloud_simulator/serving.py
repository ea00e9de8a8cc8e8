"""The simulator over TCP, on loopback, in threads of its own."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flightline.nextcloud_simulator.nextcloud import Nextcloud

_THREADS = 32
_IDLE_S = 60
_LOOK_EVERY_S = 0.1
"""For the end of the server."""


@contextmanager
def serving(nextcloud: Nextcloud, port: int = 0) -> Iterator[str]:
    """Serve until the block ends, and give the server's root address."""
    server = _server(nextcloud, port)
    server.prepare()
    thread = threading.Thread(target=server.serve, name="nextcloud", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.bind_addr[1]}"
    finally:
        server.stop()
        thread.join(10)


def _server(nextcloud: Nextcloud, port: int) -> Any:
    with warnings.catch_warnings():  # imported here as it takes a while, and few need it
        warnings.simplefilter("ignore")
        from cheroot.wsgi import Server  # noqa: PLC0415

        from flightline.nextcloud_simulator.app import App  # noqa: PLC0415
    server = Server(
        ("127.0.0.1", port), App(nextcloud), numthreads=_THREADS, timeout=_IDLE_S, request_queue_size=128
    )
    server.shutdown_timeout = 1
    server.expiration_interval = _LOOK_EVERY_S
    return server
