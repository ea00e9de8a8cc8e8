"""Several processes at one store, and processes that are killed."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.state.open import open_store
from shared.state.port import Record, Store
from tests.support.mongo import mongo_server
from tests.support.processes import free_port
from tests.support.store_child import COUNTER, COUNTS, THINGS

ROOT = Path(__file__).parents[2]
PROCESSES = 4


def start(task: str, url: str, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.store_child", task, url, name]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def acknowledged(child: subprocess.Popen[str]) -> list[tuple[str, int]]:
    assert child.stdout is not None
    with child.stdout:
        lines = [line.split() for line in child.stdout if line.endswith("\n")]
    child.wait()
    return [(record_id, int(revision)) for record_id, revision in lines]


def first_lines(child: subprocess.Popen[str], count: int) -> list[tuple[str, int]]:
    assert child.stdout is not None
    lines = [child.stdout.readline().split() for _ in range(count)]
    return [(record_id, int(revision)) for record_id, revision in lines]


def kill_after(child: subprocess.Popen[str], writes: int) -> list[tuple[str, int]]:
    first = first_lines(child, writes)
    child.send_signal(signal.SIGKILL)
    return first + acknowledged(child)


async def lost(store: Store, written: list[tuple[str, int]]) -> list[str]:
    """Return ids of acknowledged writes that are not there."""
    gone = []
    for record_id, revision in written:
        record = await store.get("things", record_id)
        if record is None or record.revision < revision or record.body["name"] != record_id:
            gone.append(record_id)
    return gone


async def kills(url: str, times: int) -> int:
    """Kill ``times`` writers and return how many writes they had been acknowledged; none may be lost."""
    chance = random.Random(times)
    written: list[tuple[str, int]] = []
    for n in range(times):
        child = start("write", url, f"child{n}")
        written += await asyncio.to_thread(kill_after, child, chance.randrange(1, 200))
    async with open_store(url) as store:
        await store.declare(THINGS)
        assert await lost(store, written) == []
        assert await store.count("things", {}) >= len({record_id for record_id, _ in written})
    return len(written)


async def test_a_killed_writer_loses_nothing_acknowledged(store_url: str) -> None:
    assert await kills(store_url, 5) > 100


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_hundred_killed_writers_lose_nothing_acknowledged(store_url: str) -> None:
    assert await kills(store_url, 100) > 10_000


def write_while_the_server_is_killed(folder: Path, times: int) -> list[tuple[str, int]]:
    """Kill the server ``times`` while one child writes, and return what was acknowledged."""
    port = free_port()
    with ExitStack() as server:
        url = server.enter_context(mongo_server(folder, port))
        child = start("write", f"{url}/chaos", "child")
        written = []
        for n in range(times):
            written += first_lines(child, 100 + 20 * (n % 4))
            server.close()
            server.enter_context(mongo_server(folder, port))
        written += first_lines(child, 100)
        child.kill()
        return written + acknowledged(child)


async def check_server_kills(folder: Path, times: int) -> None:
    written = await asyncio.to_thread(write_while_the_server_is_killed, folder, times)
    with mongo_server(folder) as url:
        async with open_store(f"{url}/chaos") as store:
            await store.declare(THINGS)
            assert await lost(store, written) == []
    assert len(written) > 100 * times


async def test_a_killed_mongodb_server_loses_nothing_acknowledged(tmp_path: Path) -> None:
    await check_server_kills(tmp_path, 3)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_mongodb_server_killed_often_loses_nothing_acknowledged(tmp_path: Path) -> None:
    await check_server_kills(tmp_path, 30)


async def test_four_processes_count_exactly(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.declare(THINGS)
        await store.insert("things", Record(COUNTER, {"n": 0}))
        children = [start("count", store_url, str(n)) for n in range(PROCESSES)]
        told = [line for child in children for line in await asyncio.to_thread(acknowledged, child)]
        record = await store.get("things", COUNTER)

    assert record is not None
    assert (record.body["n"], record.revision) == (PROCESSES * COUNTS, PROCESSES * COUNTS + 1)
    assert sorted(revision for _, revision in told) == list(range(2, PROCESSES * COUNTS + 2))


async def test_four_processes_never_claim_the_same(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.declare(THINGS)
        await asyncio.gather(
            *(store.insert("things", Record(f"{n:03}", {"state": "new", "n": n})) for n in range(300))
        )
        children = [start("claim", store_url, str(n)) for n in range(PROCESSES)]
        told = [line for child in children for line in await asyncio.to_thread(acknowledged, child)]

    assert Counter(record_id for record_id, _ in told) == Counter(f"{n:03}" for n in range(300))
