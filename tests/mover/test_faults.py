"""What a server, a proxy or somebody else may do in the midst of a run."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from flightline.nextcloud_simulator import Nextcloud
from flightline.nextcloud_simulator.faults import Rule
from mover.domain.moves import MoveState
from mover.listing import NoNextcloudError
from mover.runs import SCHEDULE_ID
from shared.dav import RefusedError
from shared.errors import NotFoundError, TransientError
from tests.mover.conftest import ROOT, UNSORTED, Sorting, opened
from tests.support.dav_servers.running import RunningDav
from tests.support.dav_servers.start import running_dav


@pytest.fixture
def simulator(nextcloud: RunningDav) -> Nextcloud:
    assert nextcloud.simulator is not None
    nextcloud.stored.put(f"{UNSORTED}/.keep", b"")
    return nextcloud.simulator


@pytest.fixture
async def mover(nextcloud: RunningDav, simulator: Nextcloud, tmp_path: Path) -> AsyncIterator[Sorting]:
    assert simulator
    async with opened(nextcloud, tmp_path / "home", repair_every=timedelta()) as sorting:
        yield sorting


async def asked(simulator: Nextcloud, method: str) -> None:
    """Wait until the server is asked; it is slow to answer."""
    async with asyncio.timeout(30):
        while simulator.calls[method] == 0:
            await asyncio.sleep(0.01)


async def test_a_move_that_was_done_and_answered_with_an_error_is_done(
    mover: Sorting, simulator: Nextcloud
) -> None:
    mover.put("a.jpg", "ai:cats")
    simulator.faults.add(Rule(kind="late-status", method="MOVE", status=500))

    report = await mover.run()

    assert (report.moved, report.failed) == (1, 0)
    assert mover.sorted_names() == {"cats/a.jpg"}
    assert mover.stored.tags_of(f"{ROOT}/cats/a.jpg") == set()


async def test_a_move_of_which_nobody_knows_is_finished_by_the_next_run(
    mover: Sorting, simulator: Nextcloud
) -> None:
    mover.put("a.jpg", "ai:cats")
    simulator.faults.add(Rule(kind="late-status", method="MOVE", status=500))
    simulator.faults.add(Rule(method="PROPFIND", path="cats/a.jpg", times=None))
    report = await mover.run()
    assert (report.moved, report.failed) == (0, 1)
    (line,) = await mover.lines()
    assert line.state is MoveState.MOVING
    simulator.faults.clear()

    report = await mover.run()

    assert (report.moved, report.repaired) == (0, 1)
    assert mover.stored.tags_of(f"{ROOT}/cats/a.jpg") == set()
    (line,) = await mover.lines()
    assert line.state is MoveState.MOVED


async def test_a_move_that_failed_is_made_by_the_next_run(mover: Sorting, simulator: Nextcloud) -> None:
    mover.put("a.jpg", "ai:cats")
    simulator.faults.add(Rule(method="MOVE", status=500))
    assert (await mover.run()).failed == 1
    assert mover.unsorted_names() == {"a.jpg"}

    report = await mover.run()

    assert report.moved == 1
    (line,) = await mover.lines()
    assert line.state is MoveState.MOVED


async def test_defect_stale_tag_it_is_taken_off_by_a_later_run(mover: Sorting, simulator: Nextcloud) -> None:
    mover.put("a.jpg", "ai:cats")
    simulator.faults.add(Rule(method="DELETE", path="systemtags-relations", status=503))
    report = await mover.run()
    assert (report.moved, report.tags_left) == (1, 1)
    assert "503" in report.errors[0]

    report = await mover.run()

    assert report.repaired == 1
    assert mover.stored.tags_of(f"{ROOT}/cats/a.jpg") == set()
    (line,) = await mover.lines()
    assert (line.state, line.error) == (MoveState.MOVED, None)


async def test_a_tag_that_may_not_be_taken_off_after_all_is_told_and_not_tried_every_time(
    mover: Sorting, simulator: Nextcloud
) -> None:
    mover.put("a.jpg", "ai:cats")
    simulator.faults.add(Rule(method="DELETE", path="systemtags-relations", status=403, times=None))
    await mover.run()
    await mover.run()
    simulator.calls.clear()

    report = await mover.run()

    assert report.errors == ()
    assert sum(simulator.calls.values()) == 1
    (line,) = await mover.lines(MoveState.TAGGED)
    assert line.error is not None
    assert "forbidden" in line.error
    assert line.attempts == 2


async def test_a_locked_file_waits_and_the_others_do_not(mover: Sorting, simulator: Nextcloud) -> None:
    for number in range(6):
        mover.put(f"{number}.jpg", "ai:cats")
    simulator.faults.add(Rule(method="MOVE", path="/[0-3].jpg", status=423, times=None))

    report = await mover.run()

    assert (report.moved, report.failed) == (2, 4)
    assert mover.sorted_names() == {"cats/4.jpg", "cats/5.jpg"}
    simulator.faults.clear()
    assert (await mover.run()).moved == 4
    assert all(line.state is MoveState.MOVED for line in await mover.lines())


@pytest.mark.parametrize("status", [403, 423, 507])
async def test_a_move_that_was_done_and_answered_with_a_refusal_is_finished(
    mover: Sorting, simulator: Nextcloud, status: int
) -> None:
    mover.put("a.jpg", "ai:cats")
    simulator.faults.add(Rule(kind="late-status", method="MOVE", status=status))

    first, second = await mover.run(), await mover.run()

    assert first.moved + second.repaired == 1
    assert mover.stored.tags_of(f"{ROOT}/cats/a.jpg") == set()
    assert {line.state for line in await mover.lines()} == {MoveState.MOVED}


async def test_a_server_in_trouble_is_not_asked_for_every_file(
    nextcloud: RunningDav, simulator: Nextcloud, tmp_path: Path
) -> None:
    async with opened(nextcloud, tmp_path / "home", repair_every=timedelta(), moves_at_once=1) as mover:
        for number in range(30):
            mover.put(f"{number}.jpg", "ai:cats")
        simulator.faults.add(Rule(method="MOVE", status=503, retry_after_s=7, times=None))

        with pytest.raises(TransientError, match="503"):
            await mover.run()

        schedule = await mover.runs.schedule.load(SCHEDULE_ID)
    assert simulator.calls["MOVE"] == 3
    assert schedule.body.failures == 1
    assert schedule.body.last is not None
    assert schedule.body.last.failed == 3


@pytest.mark.parametrize("status", [507, 502, 429])
async def test_a_full_or_busy_server_loses_nothing(mover: Sorting, simulator: Nextcloud, status: int) -> None:
    mover.put("a.jpg", "ai:cats")
    simulator.faults.add(Rule(method="MOVE", status=status))

    report = await mover.run()
    assert (report.moved, report.failed) == (0, 1)

    assert (await mover.run()).moved == 1
    assert mover.sorted_names() == {"cats/a.jpg"}


async def test_a_page_of_a_proxy_is_no_empty_folder(mover: Sorting, simulator: Nextcloud) -> None:
    mover.put("a.jpg", "ai:cats", "ai:dogs")
    await mover.run()
    simulator.faults.add(Rule(kind="html", method="PROPFIND"))

    with pytest.raises(TransientError):
        await mover.run()

    assert await mover.left() == {"a.jpg": "several-categories"}


async def test_after_a_password_was_changed_nothing_is_asked_for_a_long_while(
    mover: Sorting, simulator: Nextcloud
) -> None:
    mover.put("a.jpg", "ai:cats")
    simulator.account.change_password("another")

    with pytest.raises(RefusedError, match="was the password changed"):
        await mover.run()

    assert await mover.runs.due_in_s() > 400
    schedule = await mover.runs.schedule.load(SCHEDULE_ID)
    assert schedule.body.trouble is not None
    assert "app:password" not in schedule.body.trouble


async def test_a_login_revoked_in_the_midst_ends_the_run(mover: Sorting, simulator: Nextcloud) -> None:
    for number in range(20):
        mover.put(f"{number}.jpg", "ai:cats")
    simulator.faults.add(Rule(method="MOVE", status=401, after=2, times=None))

    with pytest.raises(RefusedError):
        await mover.run()

    assert simulator.calls["MOVE"] < 20
    simulator.faults.clear()
    await mover.run()
    assert len(mover.sorted_names()) == 20
    assert all(line.state is MoveState.MOVED for line in await mover.lines())


async def test_one_file_that_may_not_be_moved_is_left_and_tried_again_rarely(
    mover: Sorting, simulator: Nextcloud
) -> None:
    mover.put("a.jpg", "ai:cats")
    mover.put("b.jpg", "ai:cats")
    simulator.faults.add(Rule(method="MOVE", path="a.jpg", status=403, times=None))

    report = await mover.run()
    assert (report.moved, report.left) == (1, 1)
    assert await mover.left() == {"a.jpg": "refused"}
    simulator.calls.clear()

    report = await mover.run()
    assert report.left == 1
    assert simulator.calls["MOVE"] == 0


async def test_a_file_that_was_replaced_since_it_was_listed_waits_for_the_next_run(
    mover: Sorting, simulator: Nextcloud
) -> None:
    mover.put("a.jpg", "ai:cats", content=b"before")
    simulator.faults.add(Rule(kind="delay", method="MOVE", seconds=0.3))
    async with asyncio.TaskGroup() as running:
        run = running.create_task(mover.run())
        await asked(simulator, "MOVE")
        mover.stored.put(f"{UNSORTED}/a.jpg", b"replaced meanwhile")

    assert (run.result().moved, run.result().failed) == (0, 0)
    assert await mover.lines() == []
    await mover.run()
    assert mover.stored.get(f"{ROOT}/cats/a.jpg") == b"replaced meanwhile"


async def test_a_file_that_is_gone_when_it_is_to_be_moved_is_nothing_to_tell(
    mover: Sorting, simulator: Nextcloud
) -> None:
    mover.put("a.jpg", "ai:cats")
    simulator.faults.add(Rule(method="MOVE", status=404))

    report = await mover.run()

    assert (report.moved, report.failed, report.left) == (0, 0, 0)
    assert await mover.lines() == []


async def test_a_folder_removed_in_the_midst_is_made_again(mover: Sorting, simulator: Nextcloud) -> None:
    mover.stored.put(f"{ROOT}/cats/old.jpg", b"")
    mover.put("a.jpg", "ai:cats")
    simulator.faults.add(Rule(kind="delay", method="MOVE", seconds=0.3))
    async with asyncio.TaskGroup() as running:
        run = running.create_task(mover.run())
        await asked(simulator, "MOVE")
        shutil.rmtree(mover.cloud.folder / ROOT)

    assert run.result().moved == 1
    assert mover.sorted_names() == {"cats/a.jpg"}


async def test_a_folder_that_is_nowhere_is_said(nextcloud: RunningDav, tmp_path: Path) -> None:
    folders = {"unsorted_remote_dir": "nowhere"}
    async with opened(nextcloud, tmp_path / "home", settings=folders) as sorting:
        with pytest.raises(NotFoundError, match=f"neither nowhere nor {ROOT}/nowhere"):
            await sorting.run()


async def test_a_server_without_tags_is_said_and_left_alone(tmp_path: Path) -> None:
    with running_dav("wsgidav") as server:
        server.stored.put(f"{UNSORTED}/a.jpg", b"")
        async with opened(server, tmp_path / "home") as sorting:
            with pytest.raises(NoNextcloudError, match="no Nextcloud"):
                await sorting.run()
        assert server.stored.names() == {f"{UNSORTED}/a.jpg"}
