"""Killed again and again at moments drawn by chance, workers compute everything, and it is told once."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from datalab.domain.asked import AskedOperation, State
from datalab.domain.computations import Computation
from datalab.execution.opening import SUBSCRIPTIONS
from shared.events import Event, TaskCompleted
from shared.messaging.topology import dead_queue
from shared.platform import open_platform
from tests.datalab.execution.conftest import Lab, frames, running_lab
from tests.support.archive import ArchiveSimulator
from tests.support.columns import Column, server_backends
from tests.support.listening import TELLING
from tests.support.rabbitmq import session_rabbitmq
from tests.support.s3 import S3Server
from tests.support.zygote import Child, Zygote, zygote

KILLS = int(os.environ.get("FLIGHTLINE_TEST_KILLS", "0"))
"""How many, instead of each test's own number."""
PER_ROUND = 5
"""Kills over the same operations; ten would rightly end a computation."""
OPERATIONS = 3
TAKE_S = 0.25
AT_WORK_S = 0.6
"""About as long as a worker takes for one of them."""
CLAIMED_WITHIN_S = 20.0
AT_START = 0.3
"""Share of the shots that do not wait until there is work under way."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Processes of ``datalab worker`` on a column."""

    column: Column
    zygote: Zygote
    archive: ArchiveSimulator

    @property
    def runs(self) -> Path:
        """Return the file in which every run is noted."""
        return self.column.home / "runs"

    @contextmanager
    def running(self, **own: str) -> Iterator[Child]:
        """Run one worker until the block ends."""
        environment = {
            **self.column.environment,
            "DATALAB_ARCHIVE_URL": self.archive.url,
            "DATALAB_WORKERS": "2",
            "DATALAB_LEASE": "2s",
            "FLIGHTLINE_LOG_LEVEL": "info",
            "FLIGHTLINE_TEST_RUNS": str(self.runs),
            **own,
        }
        main = "tests.support.datalab_worker:main"
        child = self.zygote.start(main, ["datalab"], environment, self.column.home / "worker.log")
        try:
            yield child
        finally:
            child.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Column:
    """Embedded backends in an empty folder."""
    (tmp_path / "home").mkdir()
    return Column(tmp_path / "home")


@pytest.fixture
def servers(request: pytest.FixtureRequest, embedded: Column, mongo_url: str, s3: S3Server) -> Column:
    """RabbitMQ, a MongoDB-compatible server and S3."""
    backends = server_backends(session_rabbitmq(request.config), mongo_url, s3)
    return replace(embedded, backends=backends)


@pytest.fixture(scope="module")
def warm() -> Iterator[Zygote]:
    """Have a process that has imported what workers need."""
    with zygote("tests.support.datalab_worker") as parent:
        yield parent


@asynccontextmanager
async def asking(column: Column, archive: ArchiveSimulator) -> AsyncIterator[Lab]:
    """Run what asks, without workers of its own."""
    async with (
        open_platform(column.settings, (*SUBSCRIPTIONS, *TELLING)) as on,
        running_lab(on, archive, workers=0) as lab,
    ):
        yield lab


async def test_killed_workers_lose_nothing_and_double_nothing(
    embedded: Column, warm: Zygote, archive: ArchiveSimulator
) -> None:
    await under_fire(Workers(embedded, warm, archive), kills=KILLS or 5)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backends", ["embedded", "servers"])
async def test_two_hundred_kills_lose_nothing_and_double_nothing(
    request: pytest.FixtureRequest, backends: str, warm: Zygote, archive: ArchiveSimulator
) -> None:
    column: Column = request.getfixturevalue(backends)
    await under_fire(Workers(column, warm, archive), kills=KILLS or 200)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backends", ["embedded", "servers"])
async def test_a_worker_takes_over_from_those_that_are_killed_beside_it(
    request: pytest.FixtureRequest, backends: str, warm: Zygote, archive: ArchiveSimulator
) -> None:
    workers = Workers(request.getfixturevalue(backends), warm, archive)
    with workers.running(DATALAB_WORKERS="1"):
        await under_fire(workers, kills=KILLS or 20)


@pytest.mark.parametrize("backends", ["embedded", pytest.param("servers", marks=pytest.mark.long)])
async def test_two_workers_never_compute_the_same(
    request: pytest.FixtureRequest, backends: str, warm: Zygote, archive: ArchiveSimulator
) -> None:
    workers = Workers(request.getfixturevalue(backends), warm, archive)
    async with asking(workers.column, archive) as lab:
        asked = [await lab.ask("Sum", slow(number)) for number in range(4) for _ in range(2)]
        with workers.running(DATALAB_WORKERS="1"), workers.running(DATALAB_WORKERS="1"):
            await all_completed(lab, asked)

    assert sorted(runs_of(workers).values()) == [1] * 4


async def under_fire(workers: Workers, kills: int) -> None:
    """Compute one set of operations after the other under fire."""
    chance, left, number = random.Random(20261122), kills, 0
    told: dict[str, Event[TaskCompleted]] = {}
    async with asking(workers.column, workers.archive) as lab:
        while left > 0:
            shots = min(left, PER_ROUND)
            left -= shots
            await one_round(lab, workers, number, shots, chance, told)
            number += 1
        await nothing_but_results(lab)
        for queue in (each.queue for each in SUBSCRIPTIONS):
            assert await lab.platform.transport.depth(dead_queue(queue)) == 0
    ends = Counter(event.data.task_id for event in told.values())
    assert ends == {f"o{each + 1}": 1 for each in range(OPERATIONS * number)}
    assert len(runs_of(workers)) == OPERATIONS * number
    assert sum(runs_of(workers).values()) <= OPERATIONS * number + 2 * kills


async def one_round(
    lab: Lab,
    workers: Workers,
    number: int,
    shots: int,
    chance: random.Random,
    told: dict[str, Event[TaskCompleted]],
) -> None:
    asked = [await lab.ask("Sum", slow(OPERATIONS * number + each)) for each in range(OPERATIONS)]
    for _ in range(shots):
        with workers.running() as child:
            if chance.random() < AT_START:
                await asyncio.sleep(chance.random())
            else:
                await until_at_work(lab, child.pid)
                await asyncio.sleep(chance.random() * AT_WORK_S)
            child.kill()
        await nobody_computes_for(child.pid)
    with workers.running() as child:
        await all_completed(lab, asked)
        await hear(lab, asked, told)
        await nothing_under_way(workers.column)
        child.end()


def slow(number: int) -> dict[str, Any]:
    """Return inputs that no other number has."""
    return frames("frame1", "frame2", "frame3") | {"take_s": TAKE_S + number / 10_000, "outputs": 2}


async def all_completed(lab: Lab, asked: list[AskedOperation]) -> None:
    for operation in asked:
        shown = await lab.ended(operation, within_s=90)
        assert (shown.state, shown.message) == (State.COMPLETED, "")
        assert shown.output is not None
        assert await lab.stored(operation) == [b"600 0", b"600 1"]


async def hear(lab: Lab, asked: list[AskedOperation], told: dict[str, Event[TaskCompleted]]) -> None:
    """Wait until the ends of all were told; an event that a killed relay sent twice has one id."""
    async with asyncio.timeout(30):
        while {one.document_id for one in asked} - {event.data.task_id for event in told.values()}:
            told |= {event.id: event for event in await lab.told()}


async def until_at_work(lab: Lab, pid: int) -> None:
    """Wait until the process has claimed a computation, or there is none left."""
    async with asyncio.timeout(CLAIMED_WITHIN_S):
        while True:
            found = (await lab.computations.find({}, limit=1000)).items
            if all(document.body.state.is_final for document in found):
                return
            leases = [document.record.lease for document in found if document.body.is_open]
            if any(lease and f":{pid}/" in lease.owner for lease in leases):
                return
            await asyncio.sleep(0.02)


async def nobody_computes_for(pid: int) -> None:
    """Wait until the processes of a dead worker have died with it."""
    async with asyncio.timeout(10):
        while any(f"datalab.execution.child {pid} " in command for command in commands()):
            await asyncio.sleep(0.01)


def commands() -> list[str]:
    """Return the command lines of all processes."""
    found = (process.info["cmdline"] for process in psutil.process_iter(["cmdline"]))
    return [" ".join(words) for words in found if words]


async def nothing_under_way(column: Column) -> None:
    """Wait until no folder is left but that of the one who asks and the worker's, both empty."""
    folder = column.home / "datalab" / "under-way"
    async with asyncio.timeout(20):
        while [path for path in folder.glob("*/*") if path.is_dir()]:
            await asyncio.sleep(0.02)


async def nothing_but_results(lab: Lab) -> None:
    """Wait until what killed workers had stored is gone."""
    async with asyncio.timeout(120):
        while True:
            found = [document.body async for document in lab.computations.each({})]
            kept = {key for one in found for key in keys_of(one)}
            stored = {one.key async for one in lab.platform.objects.list("datalab/")}
            assert kept <= stored
            if kept == stored:
                return
            await asyncio.sleep(0.2)


def keys_of(one: Computation) -> list[str]:
    """Return the objects that a computation's results consist of."""
    return [stored.key for stored in one.outcome.stored()] if one.outcome else []


def runs_of(workers: Workers) -> Mapping[str, int]:
    """Return how often each computation was begun in a process."""
    return Counter(line.split()[2] for line in workers.runs.read_text().splitlines())
