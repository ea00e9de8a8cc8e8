"""An S3 server in memory: moto, in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import uuid4

from pydantic import SecretStr

from tests.support.processes import free_port, running

ACCESS_KEY = "test-user"
SECRET_KEY = SecretStr("test-password")
REGION = "us-east-1"


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    endpoint_url: str

    def new_bucket(self) -> str:
        """Make a bucket and return its name."""
        name = f"test-{uuid4().hex[:12]}"
        with urlopen(Request(f"{self.endpoint_url}/{name}", method="PUT"), timeout=10):
            return name


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run a server; its log goes to ``folder``."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, folder / "moto.log"):
        yield S3Server(f"http://127.0.0.1:{port}")
