"""A datalab with a worker and small operations, beside an archive that is the portal, too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from flightline.archive_simulator import ArchiveSimulator, serving_archive
from tests.datalab.api.calling import made, operations
from tests.support.datalab_operations import REGISTRY
from tests.support.lab import RunningLab, running_lab

WITHIN_S = 60.0
OURS = "ours"
SECRET = frozenset({OURS})


@contextmanager
def archive_in_a_thread(archive: ArchiveSimulator) -> Iterator[ArchiveSimulator]:
    """Serve an archive beside whoever calls it and waits."""
    started: Future[None] = Future()
    ended = threading.Event()

    async def serve() -> None:
        async with serving_archive(archive):
            started.set_result(None)
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        started.result(WITHIN_S)
        yield archive
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def archive() -> Iterator[ArchiveSimulator]:
    """Serve five public frames and one of a proposal, of which Alice is a member and Bob is not."""
    archive = ArchiveSimulator(users={"token-of-alice": SECRET, "token-of-bob": frozenset()})
    archive.passwords |= {"alice": ("password", "token-of-alice"), "bob": ("password", "token-of-bob")}
    for number in range(5):
        archive.add(f"frame{number}", bytes([number]) * 100)
    archive.add("hers", b"\x07" * 10, proposal=OURS)
    with archive_in_a_thread(archive):
        yield archive


@pytest.fixture(scope="module")
def computing(archive: ArchiveSimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """Run datalab with one worker."""
    home = tmp_path_factory.mktemp("contract")
    portal_url = f"{archive.url}/portal/api/"
    with running_lab(
        home,
        known=REGISTRY,
        workers=1,
        archive_url=archive.url,
        portal_url=portal_url,
        cors_origins="https://ui.example.org",
    ) as lab:
        yield lab


@dataclass(frozen=True, slots=True)
class Somebody:
    """A user with a session."""

    http: httpx.Client
    session: int

    def post(self, name: str, **inputs: Any) -> httpx.Response:
        """Ask for an operation."""
        body = {"name": name, "input_data": inputs}
        return self.http.post(operations(self.session), json=body)

    def asked(self, name: str, **inputs: Any) -> dict[str, Any]:
        """Ask for an operation that there is."""
        answer = self.post(name, **inputs)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def read(self, operation: dict[str, Any], how: str = "") -> dict[str, Any]:
        """Read an operation."""
        return dict(self.http.get(f"{operations(self.session)}{operation['id']}/{how}").json())

    def ended(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Wait for an operation to end."""
        return self.read(operation, "wait/?timeout=60")

    def computed(self, name: str, **inputs: Any) -> dict[str, Any]:
        """Have an operation computed."""
        shown = self.ended(self.asked(name, **inputs))
        assert shown["status"] == "COMPLETED", shown
        return shown


def somebody(lab: RunningLab, token: str | None = None) -> Somebody:
    """Return a user of the portal, or a new one."""
    client = lab.client(token) if token else lab.user()
    return Somebody(client, made(client)["id"])


@pytest.fixture
def alice(computing: RunningLab) -> Somebody:
    """Return a member of the proposal."""
    return somebody(computing, "token-of-alice")


@pytest.fixture
def bob(computing: RunningLab) -> Somebody:
    """Return a user of the portal who is no member."""
    return somebody(computing, "token-of-bob")


@pytest.fixture
def carl(computing: RunningLab) -> Somebody:
    """Return a user who is known here only."""
    return somebody(computing)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """Run datalab with one operation, and nobody who computes it."""
    with running_lab(tmp_path_factory.mktemp("lab"), cors_origins="https://ui.example.org") as running:
        yield running


def frame(basename: str, **more: Any) -> dict[str, Any]:
    """Return a frame of the archive, as clients name it."""
    return {"source": "archive", "basename": basename, **more}
