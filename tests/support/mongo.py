"""A MongoDB-compatible server with a folder of its own, and whichever real one the environment names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.support.processes import free_port, running

REAL_SERVER = os.environ.get("FLIGHTLINE_TEST_MONGODB")
"""URL of a MongoDB to test against besides, without a database's name."""


@contextmanager
def mongo_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run nx-27017 on ``folder`` and give its URL."""
    port = port or free_port()
    program = str(Path(sys.executable).with_name("nx-27017"))
    command = [program, "--data-dir", str(folder), "--port", str(port)]
    files = ["--log-file", str(folder / "server.log"), "--pid-file", str(folder / "server.pid")]
    with running([*command, *files], port, folder / "output.log"):
        yield f"mongodb://127.0.0.1:{port}"


def new_database(server_url: str) -> str:
    """Return the URL of a database that nobody used yet."""
    head, mark, options = server_url.partition("?")
    return f"{head.rstrip('/')}/test_{uuid4().hex[:12]}{mark}{options}"
