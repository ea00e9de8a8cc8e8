"""Files that lie in their category's folder with a tag that should be off."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from flightline.nextcloud_simulator.faults import Rule
from mover.domain.moves import MoveState
from mover.runs import SCHEDULE_ID
from shared.errors import TransientError
from tests.mover.conftest import ROOT, UNSORTED, opened
from tests.support.dav_servers.running import RunningDav


async def test_defect_crash_before_untag_a_stale_tag_comes_off(cloud: RunningDav, tmp_path: Path) -> None:
    cloud.stored.put(f"{ROOT}/cats/a.jpg", b"")
    cloud.stored.tag(f"{ROOT}/cats/a.jpg", "ai:cats", "holiday")
    async with opened(cloud, tmp_path / "home") as sorting:
        report = await sorting.run()

        (line,) = await sorting.lines()

    assert report.repaired == 1
    assert cloud.stored.tags_of(f"{ROOT}/cats/a.jpg") == {"holiday"}
    assert (line.state, line.target) == (MoveState.REPAIRED, f"{ROOT}/cats/a.jpg")


async def test_files_elsewhere_keep_their_tags(cloud: RunningDav, tmp_path: Path) -> None:
    elsewhere = ["private/a.jpg", f"{ROOT}/dogs/a.jpg", f"{ROOT}/cats/kittens/a.jpg", f"{ROOT}/a.jpg"]
    for path in elsewhere:
        cloud.stored.put(path, b"")
        cloud.stored.tag(path, "ai:cats")
    async with opened(cloud, tmp_path / "home") as sorting:
        report = await sorting.run()

    assert report.repaired == 0
    assert all(cloud.stored.tags_of(path) == {"ai:cats"} for path in elsewhere)


async def test_what_waits_unsorted_is_sorted_not_repaired(cloud: RunningDav, tmp_path: Path) -> None:
    cloud.stored.put(f"{UNSORTED}/a.jpg", b"")
    cloud.stored.tag(f"{UNSORTED}/a.jpg", "ai:cats")
    async with opened(cloud, tmp_path / "home") as sorting:
        report = await sorting.run()

    assert (report.moved, report.repaired) == (1, 0)


async def test_stale_tags_are_looked_for_first_and_then_rarely(nextcloud: RunningDav, tmp_path: Path) -> None:
    assert nextcloud.simulator is not None
    nextcloud.stored.put(f"{UNSORTED}/.keep", b"")
    for tag in ("ai:cats", "ai:dogs", "ai:../x", "holiday"):
        nextcloud.simulator.new_tag(tag)
    async with opened(nextcloud, tmp_path / "home") as sorting:
        await sorting.run()
        assert nextcloud.simulator.calls["REPORT"] == 2

        await sorting.run()
        assert nextcloud.simulator.calls["REPORT"] == 2

        await sorting.forget_repair()
        await sorting.run()
        assert nextcloud.simulator.calls["REPORT"] == 4


async def test_a_tag_that_may_not_be_taken_off_does_not_stop_the_repair(
    nextcloud: RunningDav, tmp_path: Path
) -> None:
    assert nextcloud.simulator is not None
    nextcloud.stored.put(f"{UNSORTED}/.keep", b"")
    for name in ("a.jpg", "b.jpg"):
        nextcloud.stored.put(f"{ROOT}/cats/{name}", b"")
        nextcloud.stored.tag(f"{ROOT}/cats/{name}", "ai:cats")
    nextcloud.simulator.faults.add(Rule(method="DELETE", status=403))
    async with opened(nextcloud, tmp_path / "home") as sorting:
        report = await sorting.run()

    assert report.repaired == 1
    assert len(report.errors) == 1


async def test_of_twins_each_comes_off_where_it_is(nextcloud: RunningDav, tmp_path: Path) -> None:
    """Nextcloud answers a REPORT for one of two tags of the same name with the files of both."""
    assert nextcloud.simulator is not None
    nextcloud.stored.put(f"{UNSORTED}/.keep", b"")
    nextcloud.stored.put(f"{ROOT}/cats/a.jpg", b"")
    nextcloud.stored.tag(f"{ROOT}/cats/a.jpg", "ai:cats")
    twin = nextcloud.simulator.new_tag("ai:cats", is_visible=True, is_assignable=False)
    async with opened(nextcloud, tmp_path / "home") as sorting:
        report = await sorting.run()

        assert len(await sorting.lines(MoveState.REPAIRED)) == 1
    assert twin.id
    assert report.repaired == 1
    assert nextcloud.simulator.calls["DELETE"] == 1


async def test_a_lost_journal_loses_no_file(nextcloud: RunningDav, tmp_path: Path) -> None:
    assert nextcloud.simulator is not None
    for number in range(3):
        nextcloud.stored.put(f"{UNSORTED}/{number}.jpg", str(number).encode())
        nextcloud.stored.tag(f"{UNSORTED}/{number}.jpg", "ai:cats")
    nextcloud.simulator.faults.add(Rule(method="DELETE", status=503, times=None))
    async with opened(nextcloud, tmp_path / "home", repair_every=timedelta()) as sorting:
        assert (await sorting.run()).tags_left == 3
    nextcloud.simulator.faults.clear()

    async with opened(nextcloud, tmp_path / "another home") as sorting:
        assert (await sorting.run()).repaired == 3

    assert nextcloud.stored.names(ROOT) == {"cats/0.jpg", "cats/1.jpg", "cats/2.jpg"}
    assert all(nextcloud.stored.tags_of(f"{ROOT}/cats/{number}.jpg") == set() for number in range(3))


async def test_a_repair_that_failed_is_made_by_the_next_run(nextcloud: RunningDav, tmp_path: Path) -> None:
    assert nextcloud.simulator is not None
    nextcloud.stored.put(f"{UNSORTED}/a.jpg", b"")
    nextcloud.stored.tag(f"{UNSORTED}/a.jpg", "ai:cats")
    nextcloud.simulator.faults.add(Rule(method="REPORT", status=503))
    async with opened(nextcloud, tmp_path / "home") as sorting:
        with pytest.raises(TransientError):
            await sorting.run()
        await sorting.run()

        schedule = await sorting.runs.schedule.load(SCHEDULE_ID)

    assert nextcloud.simulator.calls["REPORT"] == 2
    assert schedule.body.repaired_at_s > 0
    assert nextcloud.stored.names(ROOT) == {"cats/a.jpg"}
