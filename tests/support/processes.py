"""Servers as child processes of a test, on free ports."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

READY_WITHIN_S = 30.0
HEALTHY_WITHIN_S = 60.0


def free_port() -> int:
    """Return a TCP port that nobody listens on, and that no outgoing connection takes before it is used."""
    while True:
        port = random.SystemRandom().randrange(
            20_000, 32_000
        )  # the system gives outgoing ones 32768 and more
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, log: Path, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends, which begins when the server listens on ``port``."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(process, port, log)
        yield process
    finally:
        process.kill()
        process.wait()


def until_healthy(url: str) -> None:
    """Wait until a service of ours answers."""
    give_up_s = time.monotonic() + HEALTHY_WITHIN_S
    while time.monotonic() < give_up_s:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/healthz", timeout=5).is_success:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")
