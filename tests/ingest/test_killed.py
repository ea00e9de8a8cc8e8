"""Killed again and again at moments drawn by chance, ingest stages every byte, and says so once."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from ingest.collections import JOURNAL, TRANSFERS
from ingest.domain.transfers import FileState, TransferState, transfer_id
from ingest.resources import SUBSCRIPTIONS
from ingest.resuming import PART_BYTES
from shared.events import ImagesStaged
from shared.platform import Platform, open_platform
from tests.ingest.conftest import Ingest, found_by_discovery
from tests.ingest.scripted import jpeg
from tests.support.columns import Column, server_backends
from tests.support.listening import TELLING, heard
from tests.support.rabbitmq import session_rabbitmq
from tests.support.s3 import S3Server

KILLS = int(os.environ.get("FLIGHTLINE_TEST_KILLS", "0"))
"""How many, instead of each test's own number."""
PER_FLIGHT = 10
START_S = 2.0
"""About the time that a process takes before it works."""
AT_WORK_S = 0.4
"""A fraction of the time that a flight takes."""
CLAIMED_WITHIN_S = 20.0
AT_START = 0.3
"""Share of the shots that do not wait until there is work under way."""
SMALL, LARGE = 40, 2
OWN = {
    "INGEST_PORT": "0",
    "INGEST_LEASE": "10m",
    "INGEST_RESUMABLE_FROM_BYTES": str(PART_BYTES),
    "INGEST_FILES_AT_ONCE": "2",
}


@pytest.fixture
def embedded(tmp_path: Path) -> Column:
    """Embedded backends in an empty folder."""
    (tmp_path / "home").mkdir()
    return Column(tmp_path / "home", command="ingest", own=OWN)


@pytest.fixture
def servers(request: pytest.FixtureRequest, embedded: Column, mongo_url: str, s3: S3Server) -> Column:
    """RabbitMQ, a MongoDB-compatible server and S3."""
    backends = server_backends(session_rabbitmq(request.config), mongo_url, s3)
    return replace(embedded, backends={**backends, "folders": str(embedded.home.parent)})


def make_flight(folder: Path, number: int) -> Path:
    """Make small and large photographs, which differ from those of other flights."""
    flight = folder / f"flight-{number}"
    flight.mkdir()
    for image in range(SMALL):
        (flight / f"small-{image:03}.jpg").write_bytes(jpeg(f"{number}/{image}", 200_000))
    for image in range(LARGE):
        (flight / f"large-{image}.jpg").write_bytes(jpeg(f"{number}/{image}", 5 * PART_BYTES + 9))
    return flight


@pytest.mark.timeout(300)
async def test_nothing_is_lost_or_doubled_on_embedded_backends(embedded: Column) -> None:
    await under_fire(embedded, kills=KILLS or 4)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_nothing_is_lost_or_doubled_on_servers(servers: Column) -> None:
    await under_fire(servers, kills=KILLS or 3)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backends", ["embedded", "servers"])
async def test_two_hundred_kills_lose_nothing(request: pytest.FixtureRequest, backends: str) -> None:
    await under_fire(request.getfixturevalue(backends), kills=KILLS or 200)


async def under_fire(column: Column, kills: int) -> None:
    """Stage one flight after the other under fire."""
    chance, left, number = random.Random(20261121), kills, 0
    async with opened(column) as on:
        while left > 0:
            shots = min(left, PER_FLIGHT)
            left -= shots
            await stage_one(on, column, number, shots, chance)
            number += 1


@asynccontextmanager
async def opened(column: Column) -> AsyncIterator[Platform]:
    """Open the column's backends with queues for what ingest hears and tells."""
    async with open_platform(column.settings, (*SUBSCRIPTIONS, *TELLING)) as on:
        await on.store.declare(TRANSFERS, JOURNAL)
        yield on


async def stage_one(on: Platform, column: Column, number: int, shots: int, chance: random.Random) -> None:
    folder = make_flight(column.home.parent, number)
    ingest = Ingest(on)
    ask = await found_by_discovery(folder)
    await ingest.tell(ask)
    for _ in range(shots):
        with column.running() as process:
            if chance.random() < AT_START:
                await asyncio.sleep(chance.random() * 2 * START_S)
            else:
                await until_at_work(ingest, transfer_id(ask.data), process.pid)
                await asyncio.sleep(chance.random() * AT_WORK_S)
    with column.running():
        await until_staged(ingest, transfer_id(ask.data))
        (event,) = await heard(on, ImagesStaged, at_least=1)
    manifest = await ingest.manifest(event)
    there = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    lines = (await ingest.journal.find({"transfer": transfer_id(ask.data)})).items

    assert {file.path: file.sha256 for file in manifest.images} == there
    for file in manifest.images:
        await on.objects.download(file.key, column.home / "image")  # verifies the kept hash
        assert sha256((column.home / "image").read_bytes()).hexdigest() == file.sha256
    assert [line.body.state for line in lines] == [FileState.STAGED] * (SMALL + LARGE)
    for path in folder.iterdir():
        path.unlink()


async def until_at_work(ingest: Ingest, transfer: str, pid: int) -> None:
    """Wait until the process has claimed the transfer, or there is nothing left to claim."""
    ends_at = time.monotonic() + CLAIMED_WITHIN_S
    while time.monotonic() < ends_at:
        document = await ingest.transfers.get(transfer)
        if document is not None:
            lease = document.record.lease
            if document.body.state is not TransferState.COPYING or (lease and f"{pid}/" in lease.owner):
                return
        await asyncio.sleep(0.01)


async def until_staged(ingest: Ingest, transfer: str) -> None:
    async with asyncio.timeout(100):
        while True:
            document = await ingest.transfers.get(transfer)
            if document is not None and document.body.state is not TransferState.COPYING:
                assert document.body.state is TransferState.STAGED, document.body.error
                return
            await asyncio.sleep(0.1)
