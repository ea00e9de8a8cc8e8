"""The spare worker with real processes."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import psutil

from odm_gateway.adapters.local_engine import LocalEngine
from odm_gateway.adapters.spare_worker import PAUSE_S, SpareWorker
from odm_gateway.ports import Completed
from shared.messaging.background import background
from shared.platform import Platform
from tests.odm_gateway.adapters.test_local_engine import events_of, project
from tests.support.gateway import stage_images
from tests.support.gateway_process import scripted_command, scripted_engine
from tests.support.until import until


@asynccontextmanager
async def engine_with_spare(
    platform: Platform, behaviour: str = "finish", pause_s: float = PAUSE_S
) -> AsyncIterator[LocalEngine]:
    """Keep a spare worker that waits already when the block begins."""
    await stage_images(platform)
    spare = SpareWorker(scripted_command(behaviour), pause_s)
    async with background(spare.keep()):
        await until(lambda: len(children()) == 1)
        yield replace(scripted_engine(platform, behaviour), spare=spare)


def children() -> list[int]:
    """Return the workers that live; servers of other tests are children of this process, too."""
    return [child.pid for child in psutil.Process().children() if _is_worker(child)]


def _is_worker(child: psutil.Process) -> bool:
    try:
        return any("scripted_worker" in argument for argument in child.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def one_appears() -> bool:
    """Wait for a worker without letting anything else run: for a moment it has no command line yet."""
    deadline = time.monotonic() + 10
    while not children() and time.monotonic() < deadline:
        time.sleep(0.001)
    return len(children()) == 1


async def test_the_next_job_is_done_by_the_spare(platform: Platform) -> None:
    async with engine_with_spare(platform) as engine:
        [waiting] = children()
        events = await events_of(engine)
    assert isinstance(events[-1], Completed)
    assert int((project(engine) / "pid").read_text()) == waiting


async def test_a_job_finds_another_worker_when_the_spare_is_dead(platform: Platform) -> None:
    async with engine_with_spare(platform) as engine:
        os.kill(children()[0], 9)
        await until(lambda: not children())
        events = await events_of(engine)
    assert isinstance(events[-1], Completed)
    assert (project(engine) / "starts").read_text() == "x"


async def test_a_spare_killed_at_work_is_followed_by_another_worker(platform: Platform) -> None:
    async with engine_with_spare(platform, "die_once") as engine:
        events = await events_of(engine)
    assert isinstance(events[-1], Completed)
    assert (project(engine) / "starts").read_text() == "xx"


async def test_right_after_a_job_no_spare_is_started(platform: Platform) -> None:
    async with engine_with_spare(platform) as engine:
        await events_of(engine)
        await asyncio.sleep(0.3)
        assert children() == []


async def test_a_dead_spare_is_replaced(platform: Platform) -> None:
    async with engine_with_spare(platform, pause_s=0.1):
        [first] = children()
        os.kill(first, 9)
        await until(lambda: children() not in ([], [first]))


async def test_some_time_after_a_job_a_spare_waits_again(platform: Platform) -> None:
    async with engine_with_spare(platform, pause_s=0.1) as engine:
        [first] = children()
        await events_of(engine)
        await until(lambda: children() not in ([], [first]))


async def test_a_spare_ends_with_its_keeper(platform: Platform) -> None:
    async with engine_with_spare(platform):
        assert len(children()) == 1
    assert children() == []


async def test_a_spare_ends_with_a_keeper_that_is_stopped_while_it_starts() -> None:
    spare = SpareWorker(scripted_command("finish"))
    keeping = asyncio.create_task(spare.keep())
    await asyncio.sleep(0)
    assert one_appears()
    keeping.cancel()
    await asyncio.wait([keeping])
    assert children() == []
