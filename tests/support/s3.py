"""An S3 server in memory: moto, in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import uuid4

from pydantic import SecretStr

from shared.objects.open import open_objects
from shared.objects.port import ObjectStore
from tests.support.processes import free_port, running

ACCESS_KEY = "test-user"
SECRET_KEY = SecretStr("test-password")
REGION = "us-east-1"
KEYS_PER_PAGE = 100
"""A tenth of what S3 has, so that few keys are many pages."""


@dataclass(frozen=True)
class S3Server:
    """A running server, or one that should be."""

    endpoint_url: str

    def open(self, bucket: str, prefix: str = "") -> AbstractAsyncContextManager[ObjectStore]:
        """Open an object store."""
        return open_objects(
            f"s3://{bucket}/{prefix}",
            endpoint_url=self.endpoint_url,
            region=REGION,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
        )

    def new_bucket(self) -> str:
        """Make a bucket and return its name."""
        return self.make_bucket(f"test-{uuid4().hex[:12]}")

    def make_bucket(self, name: str) -> str:
        """Make a bucket of this name."""
        with urlopen(Request(f"{self.endpoint_url}/{name}", method="PUT"), timeout=30):
            return name


@contextmanager
def s3_server(folder: Path, port: int | None = None) -> Iterator[S3Server]:
    """Run a server; its log goes to ``folder``."""
    port = port or free_port()
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, folder / "moto.log", MOTO_S3_DEFAULT_MAX_KEYS=str(KEYS_PER_PAGE)):
        yield S3Server(f"http://127.0.0.1:{port}")
