"""Two movers at once: one run at a time where they share their state, and harmless where they do not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from flightline.nextcloud_simulator.faults import Rule
from mover.domain.moves import MoveState
from mover.runs import SCHEDULE_ID
from shared.errors import TransientError
from tests.mover.conftest import FOLDERS, ROOT, UNSORTED, opened, webdav_settings
from tests.support.dav_servers.running import RunningDav
from tests.support.mongo import new_database

FILES = 12


@pytest.fixture
def full(nextcloud: RunningDav) -> RunningDav:
    """Fill the folder of unsorted files."""
    for number in range(FILES):
        nextcloud.stored.put(f"{UNSORTED}/{number}.jpg", f"picture {number}".encode())
        nextcloud.stored.tag(f"{UNSORTED}/{number}.jpg", f"ai:{'cats' if number % 2 else 'dogs'}")
    return nextcloud


def check_all_sorted(cloud: RunningDav) -> None:
    """See that every file is in its category once, without its tag."""
    expected = {f"{'cats' if n % 2 else 'dogs'}/{n}.jpg" for n in range(FILES)}
    assert cloud.stored.names(ROOT) == expected
    assert cloud.stored.names(UNSORTED) == set()
    assert all(cloud.stored.tags_of(f"{ROOT}/{name}") == set() for name in expected)


async def test_two_that_share_their_state_run_one_after_the_other(full: RunningDav, tmp_path: Path) -> None:
    assert full.simulator is not None
    full.simulator.faults.add(Rule(kind="delay", method="MOVE", seconds=0.05, times=None))
    async with (
        opened(full, tmp_path / "home", repair_every=timedelta()) as one,
        opened(full, tmp_path / "home", repair_every=timedelta()) as other,
    ):
        other.runs.owner = "elsewhere/1/1"
        reports = await asyncio.gather(one.run(), other.run())

    assert sorted(report.moved for report in reports) == [0, FILES]
    assert full.simulator.calls["MOVE"] == FILES
    check_all_sorted(full)


async def test_two_that_share_a_mongodb_run_one_after_the_other(
    full: RunningDav, mongo_url: str, tmp_path: Path
) -> None:
    platform = webdav_settings(full.place, tmp_path, state=new_database(mongo_url))
    settings = {"repair_every": timedelta()}
    async with (
        opened(full, tmp_path, platform=platform, settings=settings) as one,
        opened(full, tmp_path, platform=platform, settings=settings) as other,
    ):
        other.runs.owner = "elsewhere/1/1"
        reports = await asyncio.gather(one.run(), other.run())

        assert len(await one.lines(MoveState.MOVED)) == FILES
        assert await one.runs.due_in_s() > 0
    assert sorted(report.moved for report in reports) == [0, FILES]
    check_all_sorted(full)


async def test_two_that_know_not_of_each_other_move_each_file_once(full: RunningDav, tmp_path: Path) -> None:
    async with (
        opened(full, tmp_path / "one", repair_every=timedelta()) as one,
        opened(full, tmp_path / "other", repair_every=timedelta()) as other,
    ):
        reports = await asyncio.gather(one.run(), other.run())
        await asyncio.gather(one.run(), other.run())

    assert sum(report.failed for report in reports) == 0
    check_all_sorted(full)


async def test_a_run_that_lost_its_lease_ends(full: RunningDav, tmp_path: Path) -> None:
    assert full.simulator is not None
    full.simulator.faults.add(Rule(kind="delay", method="MOVE", seconds=0.5, times=None))
    settings = {"repair_every": timedelta(), "lease": timedelta(seconds=2), "moves_at_once": 1}
    async with opened(full, tmp_path / "home", settings=settings) as one:
        running = asyncio.create_task(one.run())
        async with asyncio.timeout(30):
            while full.simulator.calls["MOVE"] == 0:
                await asyncio.sleep(0.02)
        await one.runs.schedule.release(SCHEDULE_ID, owner=one.runs.owner)

        with pytest.raises(TransientError, match="took over"):
            await running

        full.simulator.faults.clear()
        await one.run()
    check_all_sorted(full)


async def test_a_run_that_is_cancelled_gives_the_schedule_back(full: RunningDav, tmp_path: Path) -> None:
    assert full.simulator is not None
    full.simulator.faults.add(Rule(kind="delay", method="MOVE", seconds=0.3, times=None))
    settings = {"repair_every": timedelta(), "lease": timedelta(minutes=5), **FOLDERS}
    async with opened(full, tmp_path / "home", settings=settings) as one:
        running = asyncio.create_task(one.run())
        async with asyncio.timeout(30):
            while full.simulator.calls["MOVE"] == 0:
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])
        full.simulator.faults.clear()

        async with asyncio.timeout(30):
            await one.run()

        assert {line.state for line in await one.lines()} == {MoveState.MOVED}
    check_all_sorted(full)
