"""Killed again and again at moments drawn by chance, scaler scales every image, and says so once."""

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

from scaler.collections import JOBS, PIECES
from scaler.domain.jobs import JobState
from scaler.resources import SUBSCRIPTIONS
from shared.events import Event, ImageScaled, ImagesStaged
from shared.messaging.topology import dead_queue
from shared.platform import Platform, open_platform
from tests.scaler.jobs.conftest import Scaler, stage
from tests.scaler.pictures import jpeg, size_of
from tests.support.columns import Column, server_backends
from tests.support.listening import TELLING, heard
from tests.support.rabbitmq import session_rabbitmq
from tests.support.s3 import S3Server

KILLS = int(os.environ.get("FLIGHTLINE_TEST_KILLS", "0"))
"""How many, instead of each test's own number."""
PER_FLIGHT = 8
START_S = 1.5
"""About the time that a process takes before it works."""
AT_WORK_S = 0.8
"""A fraction of the time that a flight takes."""
CLAIMED_WITHIN_S = 20.0
AT_START = 0.3
"""Share of the shots that do not wait until there is work under way."""
IMAGES = 24
WIDTH, HEIGHT = 480, 320
OWN = {"SCALER_PORT": "0", "SCALER_LEASE": "10m", "FLIGHTLINE_LOG_LEVEL": "error"}


@pytest.fixture
def embedded(tmp_path: Path) -> Column:
    """Embedded backends in an empty folder."""
    (tmp_path / "home").mkdir()
    return Column(tmp_path / "home", command="scaler", own=OWN)


@pytest.fixture
def servers(request: pytest.FixtureRequest, embedded: Column, mongo_url: str, s3: S3Server) -> Column:
    """RabbitMQ, a MongoDB-compatible server and S3."""
    backends = server_backends(session_rabbitmq(request.config), mongo_url, s3)
    return replace(embedded, backends=backends)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_nothing_is_lost_or_doubled_on_embedded_backends(embedded: Column) -> None:
    await under_fire(embedded, kills=KILLS or 2)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backends", ["embedded", "servers"])
async def test_a_hundred_kills_lose_nothing(request: pytest.FixtureRequest, backends: str) -> None:
    await under_fire(request.getfixturevalue(backends), kills=KILLS or 100)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backends", ["embedded", "servers"])
async def test_two_processes_of_which_one_is_killed_lose_nothing(
    request: pytest.FixtureRequest, backends: str
) -> None:
    column: Column = request.getfixturevalue(backends)
    with replace(column, own={**OWN, "SCALER_LEASE": "3s"}).running():
        await under_fire(column, kills=KILLS or 20)


async def under_fire(column: Column, kills: int) -> None:
    """Scale one flight after the other under fire."""
    chance, left, number = random.Random(20261121), kills, 0
    async with opened(column) as on:
        while left > 0:
            shots = min(left, PER_FLIGHT)
            left -= shots
            await scale_one(on, column, f"flight-{number}", shots, chance)
            number += 1
        dead = [await on.transport.depth(dead_queue(each.queue)) for each in SUBSCRIPTIONS]
        assert dead == [0]


@asynccontextmanager
async def opened(column: Column) -> AsyncIterator[Platform]:
    """Open the column's backends with queues for what scaler hears and tells."""
    async with open_platform(column.settings, (*SUBSCRIPTIONS, *TELLING)) as on:
        await on.store.declare(JOBS, PIECES)
        yield on


async def scale_one(on: Platform, column: Column, flight: str, shots: int, chance: random.Random) -> None:
    images = {f"{number:02}.jpg": jpeg(number, width=WIDTH, height=HEIGHT) for number in range(IMAGES)}
    scaler, job = Scaler(on), f"{flight}.1.2x"
    await scaler.tell(await stage(on, images, flight=flight))
    for _ in range(shots):
        with column.running() as process:
            if chance.random() < AT_START:
                await asyncio.sleep(chance.random() * 2 * START_S)
            else:
                await until_at_work(scaler, job, process.pid)
                await asyncio.sleep(chance.random() * AT_WORK_S)
    with column.running():
        await until_done(scaler, job)
        staged = await told_staged(on)
        scaled = await told_scaled(on)
    manifest = await scaler.manifest(staged)

    assert [file.path for file in manifest.images] == sorted(images)
    for file in manifest.images:
        content = await on.objects.read(file.key)
        assert sha256(content).hexdigest() == file.sha256
        assert size_of(content) == (2 * WIDTH, 2 * HEIGHT)
    assert sorted(event.data.target for event in scaled) == [
        on.objects.uri(file.key) for file in manifest.images
    ]
    assert sorted(await scaler.paths(job)) == sorted(images)


async def told_staged(on: Platform) -> Event[ImagesStaged]:
    """Return what was told of scaled images: once, however often it was sent."""
    told: dict[str, Event[ImagesStaged]] = {}
    while not told:
        for event in await heard(on, ImagesStaged, at_least=1):
            if event.data.scale.applied:
                told[event.id] = event
    (event,) = told.values()
    return event


async def told_scaled(on: Platform) -> list[Event[ImageScaled]]:
    """Return what was told of images, each event once however often it was sent."""
    told: dict[str, Event[ImageScaled]] = {}
    while len(told) < IMAGES:
        told |= {event.id: event for event in await heard(on, ImageScaled, at_least=1)}
    return [*told.values()]


async def until_at_work(scaler: Scaler, job: str, pid: int) -> None:
    """Wait until the process has claimed a piece of the job, or the job is over."""
    ends_at = time.monotonic() + CLAIMED_WITHIN_S
    while time.monotonic() < ends_at:
        document = await scaler.jobs.get(job)
        if document is not None and document.body.state is not JobState.SCALING:
            return
        for piece in (await scaler.pieces.find({"state": "open"})).items:
            if piece.record.lease and f"{pid}/" in piece.record.lease.owner:
                return
        await asyncio.sleep(0.02)


async def until_done(scaler: Scaler, job: str) -> None:
    async with asyncio.timeout(100):
        while True:
            document = await scaler.jobs.get(job)
            if document is not None and document.body.state is not JobState.SCALING:
                assert document.body.state is JobState.DONE, document.body.error
                return
            await asyncio.sleep(0.1)
