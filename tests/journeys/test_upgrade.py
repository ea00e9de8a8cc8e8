"""A rolling upgrade, and back: code of a former commit and of this one side by side on the same servers."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from discovery.collections import FLIGHTS
from discovery.domain.flights import FlightState
from flightline.pipeline import SUBSCRIPTIONS
from ingest.domain.transfers import TransferState
from odm_gateway.domain.tasks import Status
from shared.platform import open_platform
from tests.support.columns import Column, Inventory, inventory
from tests.support.webhook_receiver import Receiver, webhook_receiver

ROOT = Path(__file__).resolve().parents[2]
FORMER = {
    "this very code": "",
    "scaler and mover": "d9d7da1bc2787fc77fed69102310b68b97140c12",
    "datalab": "c7775d8a9cc14f4df49e6c9dea9167bee5e51b86",
}
"""Commits at which a part was finished; what they wrote is what a cluster may hold."""
TELL_TWICE = {"scaler and mover", "datalab"}
"""Two of their replicas that heard an event at once both told its webhook."""
SERVICES = ("odm-gateway", "ingest", "scaler", "discovery")
UP = "import sys; from flightline.entry import main; sys.argv[0] = 'flightline'; main()"
ENDS_WITHIN_S = 60.0
STARTS_WITHIN_S = 300.0
FLIGHT_EVERY_S = 1.0
FLIGHTS_PER_START = 6
SETTINGS = {
    "ODM_GATEWAY_ENGINE": "simulate",
    "ODM_GATEWAY_SIMULATE_SECONDS": "0.3",
    "DISCOVERY_SCAN_EVERY": "500ms",
    "DISCOVERY_SETTLE": "200ms",
    "FLIGHTLINE_LOG_FORMAT": "json",
    **{f"{name}_PORT": "0" for name in ("DISCOVERY", "INGEST", "SCALER", "ODM_GATEWAY")},
}


@dataclass(frozen=True, slots=True)
class Release:
    """A tree of sources, run by this interpreter."""

    name: str
    tree: Path

    def environment(self, column: Column) -> dict[str, str]:
        """Return variables by which a process runs this tree, and not what is installed."""
        folders = [
            *self.tree.glob("shared/src"),
            *self.tree.glob("services/*/src"),
            self.tree / "deploy/local/src",
        ]
        return {**column.environment, **SETTINGS, "PYTHONPATH": os.pathsep.join(map(str, folders))}


@dataclass(slots=True)
class Replica:
    """All services in one process, of one release."""

    process: subprocess.Popen[bytes]
    log: Path

    def started(self) -> bool:
        """Return whether every service listens."""
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        said = self.log.read_text().splitlines()
        return all(any(line.startswith(f"{name}: http") for line in said) for name in SERVICES)

    def end(self) -> None:
        """Tell it to end, and see it end well."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(ENDS_WITHIN_S) == 0, self.log.read_text()[-3000:]

    def events(self) -> list[dict[str, Any]]:
        """Return what it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def now() -> Release:
    return Release("now", ROOT)


@pytest.fixture(params=FORMER)
def former(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Unpack a former commit."""
    commit, folder = FORMER[request.param], tmp_path_factory.mktemp("former")
    if not commit:
        return Release(request.param, ROOT)
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"the history here does not reach back to {commit[:7]}: {packed.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return Release(request.param, folder)


@contextmanager
def replica(release: Release, column: Column, number: int) -> Iterator[Replica]:
    """Run a replica; what is left of it is killed behind the block."""
    log = column.home.parent / f"{number}-{release.name}.log"
    only = [word for name in SERVICES for word in ("--only", name)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", UP, "up", *only],
            env=release.environment(column),
            cwd=column.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Replica(process, log)
    finally:
        process.kill()
        process.wait()


class Rollout:
    """Replicas that are replaced one by one while flights come in."""

    def __init__(self, column: Column, photos: Sequence[Path], root: Path, stack: ExitStack) -> None:
        self._column = column
        self._photos = photos
        self._root = root
        self._stack = stack
        self._numbers = count()
        self._running: list[Replica] = []
        self.ever: list[Replica] = []
        self.flights: list[str] = []

    async def start(self, release: Release) -> None:
        """Start a replica beside the others, and go on as soon as it serves."""
        new = self._stack.enter_context(replica(release, self._column, next(self._numbers)))
        self.ever.append(new)
        give_up_s = time.monotonic() + STARTS_WITHIN_S
        enough = len(self.flights) + FLIGHTS_PER_START
        while not new.started() or len(self.flights) < enough:
            assert time.monotonic() < give_up_s, new.log.read_text()[-3000:]
            if len(self.flights) < enough:
                self.fly()
            await asyncio.sleep(FLIGHT_EVERY_S)
        self._running.append(new)

    async def end_oldest(self) -> None:
        """End the replica that runs longest, as a rolling upgrade does."""
        self.fly()
        await asyncio.to_thread(self._running.pop(0).end)

    def fly(self) -> None:
        """Let one more flight come in."""
        name = f"field-{len(self.flights)}"
        images = self._root / name / "code" / "images"
        images.mkdir(parents=True)
        for photo in self._photos:
            shutil.copy(photo, images)
        self.flights.append(name)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_an_upgrade_and_a_way_back_lose_and_double_nothing(
    servers: Column, flight: Path, former: Release, now: Release, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    async with webhook_receiver() as receiver:
        with ExitStack() as stack:
            rollout = await rolled(servers, receiver, flight, root, stack, former, now)
            left = await settled(servers, len(rollout.flights))
            logged = [event for each in rollout.ever for event in each.events()]
            await receiver.wait(len(rollout.flights))
        told = sorted(one.payload["name"] for one in receiver.heard)
    listed = await asyncio.to_thread(listed_by, former, servers)

    flights = len(rollout.flights)
    assert left.flights == (FlightState.COMPLETED,) * flights
    assert (left.transfers, left.tasks) == (
        (TransferState.STAGED,) * flights,
        (Status.COMPLETED,) * flights,
    )
    assert (left.dead_letters, left.unrouted, left.untold) == (0, 0, 0)
    assert sorted(set(told) if former.name in TELL_TWICE else told) == sorted(rollout.flights)
    assert [event for event in logged if event["event"] in ("event.retried", "event.buried")] == []
    assert [event for event in logged if event["level"] in ("error", "critical")] == []
    assert len(listed) == flights


def listed_by(release: Release, column: Column) -> list[Any]:
    """Return the flights as a command of ``release`` reads them."""
    command = [sys.executable, "-c", UP, "flights", "--limit", "1000", "--json"]
    ended = subprocess.run(command, env=release.environment(column), capture_output=True, check=True)
    return list(json.loads(ended.stdout))


async def rolled(
    column: Column,
    receiver: Receiver,
    flight: Path,
    root: Path,
    stack: ExitStack,
    former: Release,
    now: Release,
) -> Rollout:
    """Run two replicas of the former release, replace both, and then both back."""
    own = {
        "DISCOVERY_ROOTS": root.as_uri(),
        "FLIGHTLINE_FOLDERS": str(root),
        "ODM_GATEWAY_WEBHOOK": f"{receiver.url}/hook",
    }
    column = replace(column, own={**column.own, **own})
    rollout = Rollout(column, sorted(flight.glob("*.JPG"))[:2], root, stack)
    for release in (former, former):
        await rollout.start(release)
    for release in (now, now, former, former):
        await rollout.start(release)
        await rollout.end_oldest()
    return rollout


async def settled(column: Column, flights: int) -> Inventory:
    """Return what there is once every flight has ended."""
    async with asyncio.timeout(300), open_platform(column.settings, SUBSCRIPTIONS) as on:
        await on.store.declare(FLIGHTS)
        while await on.store.count(FLIGHTS.name, {"state": FlightState.COMPLETED.value}) < flights:
            await asyncio.sleep(1)
    return await inventory(column)
