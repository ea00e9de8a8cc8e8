"""Several processes at one store, and processes that are killed."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from shared.state.open import open_store
from shared.state.port import Record, Store
from tests.support.mongo import mongo_server
from tests.support.processes import free_port
from tests.support.store_child import COUNTER, COUNTS, THINGS
from tests.support.zygote import Child, Zygote, zygote

PROCESSES = 4


@dataclass(frozen=True)
class Worker:
    """A process at a store, and what it says."""

    child: Child
    said: IO[str]


@dataclass(frozen=True)
class Workers:
    """Starts processes at stores."""

    parent: Zygote
    folder: Path

    def start(self, task: str, url: str, name: str) -> Worker:
        pipe = self.folder / name
        os.mkfifo(pipe)
        main = "tests.support.store_child:run"
        errors = self.folder / "errors.log"
        child = self.parent.start(main, ["store_child", task, url, name], os.environ, pipe, errors)
        return Worker(child, pipe.open())


@pytest.fixture(scope="module")
def parent() -> Iterator[Zygote]:
    """Have a process that has imported what those at stores need."""
    with zygote("tests.support.store_child", "shared.state.mongo", "shared.state.sqlite") as started:
        yield started


@pytest.fixture
def workers(parent: Zygote, tmp_path: Path) -> Workers:
    folder = tmp_path / "workers"
    folder.mkdir()
    return Workers(parent, folder)


def acknowledged(worker: Worker) -> list[tuple[str, int]]:
    with worker.said:
        lines = [line.split() for line in worker.said if line.endswith("\n")]
    worker.child.close()
    return [(record_id, int(revision)) for record_id, revision in lines]


def first_lines(worker: Worker, count: int) -> list[tuple[str, int]]:
    lines = [worker.said.readline().split() for _ in range(count)]
    return [(record_id, int(revision)) for record_id, revision in lines]


def kill_after(worker: Worker, writes: int) -> list[tuple[str, int]]:
    first = first_lines(worker, writes)
    worker.child.strike()
    return first + acknowledged(worker)


async def lost(store: Store, written: list[tuple[str, int]]) -> list[str]:
    """Return ids of acknowledged writes that are not there."""
    gone = []
    for record_id, revision in written:
        record = await store.get("things", record_id)
        if record is None or record.revision < revision or record.body["name"] != record_id:
            gone.append(record_id)
    return gone


async def kills(workers: Workers, url: str, times: int) -> int:
    """Kill ``times`` writers and return how many writes they had been acknowledged; none may be lost."""
    chance = random.Random(times)
    written: list[tuple[str, int]] = []
    for n in range(times):
        worker = workers.start("write", url, f"child{n}")
        written += await asyncio.to_thread(kill_after, worker, chance.randrange(1, 200))
    async with open_store(url) as store:
        await store.declare(THINGS)
        assert await lost(store, written) == []
        assert await store.count("things", {}) >= len({record_id for record_id, _ in written})
    return len(written)


async def test_a_killed_writer_loses_nothing_acknowledged(workers: Workers, store_url: str) -> None:
    assert await kills(workers, store_url, 3) > 100


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_hundred_killed_writers_lose_nothing_acknowledged(workers: Workers, store_url: str) -> None:
    assert await kills(workers, store_url, 100) > 10_000


def write_while_the_server_is_killed(workers: Workers, folder: Path, times: int) -> list[tuple[str, int]]:
    """Kill the server ``times`` while one child writes, and return what was acknowledged."""
    port = free_port()
    with ExitStack() as server:
        url = server.enter_context(mongo_server(folder, port))
        worker = workers.start("write", f"{url}/chaos", "child")
        written = []
        for n in range(times):
            written += first_lines(worker, 100 + 20 * (n % 4))
            server.close()
            server.enter_context(mongo_server(folder, port))
        written += first_lines(worker, 100)
        worker.child.strike()
        return written + acknowledged(worker)


async def check_server_kills(workers: Workers, folder: Path, times: int) -> None:
    written = await asyncio.to_thread(write_while_the_server_is_killed, workers, folder, times)
    with mongo_server(folder) as url:
        async with open_store(f"{url}/chaos") as store:
            await store.declare(THINGS)
            assert await lost(store, written) == []
    assert len(written) > 100 * times


async def test_a_killed_mongodb_server_loses_nothing_acknowledged(workers: Workers, tmp_path: Path) -> None:
    await check_server_kills(workers, tmp_path, 3)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_mongodb_server_killed_often_loses_nothing_acknowledged(
    workers: Workers, tmp_path: Path
) -> None:
    await check_server_kills(workers, tmp_path, 30)


async def test_four_processes_count_exactly(workers: Workers, store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.declare(THINGS)
        await store.insert("things", Record(COUNTER, {"n": 0}))
        started = [workers.start("count", store_url, str(n)) for n in range(PROCESSES)]
        told = [line for worker in started for line in await asyncio.to_thread(acknowledged, worker)]
        record = await store.get("things", COUNTER)

    assert record is not None
    assert (record.body["n"], record.revision) == (PROCESSES * COUNTS, PROCESSES * COUNTS + 1)
    assert sorted(revision for _, revision in told) == list(range(2, PROCESSES * COUNTS + 2))


async def test_four_processes_never_claim_the_same(workers: Workers, store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.declare(THINGS)
        await asyncio.gather(
            *(store.insert("things", Record(f"{n:03}", {"state": "new", "n": n})) for n in range(100))
        )
        started = [workers.start("claim", store_url, str(n)) for n in range(PROCESSES)]
        told = [line for worker in started for line in await asyncio.to_thread(acknowledged, worker)]

    assert Counter(record_id for record_id, _ in told) == Counter(f"{n:03}" for n in range(100))
