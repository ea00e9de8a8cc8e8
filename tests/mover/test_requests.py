"""How much is asked of the server: N files of which M are moved take no more than 2 M + 3 requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.mover.conftest import ROOT, UNSORTED, Sorting, opened
from tests.support.dav_servers.running import RunningDav

FILES, MOVES = 30, 15


@pytest.fixture
async def mover(nextcloud: RunningDav, tmp_path: Path) -> AsyncIterator[Sorting]:
    nextcloud.stored.put(f"{ROOT}/cats/old.jpg", b"")
    nextcloud.stored.put(f"{UNSORTED}/.keep", b"")
    async with opened(nextcloud, tmp_path / "home", repair_every=timedelta()) as sorting:
        yield sorting


def calls(mover: Sorting) -> Counter[str]:
    assert mover.cloud.simulator is not None
    return mover.cloud.simulator.calls


async def test_defect_cost_thirty_files_and_fifteen_moves_take_32_requests(mover: Sorting) -> None:
    """The script that this replaces asks 92 times."""
    for number in range(FILES):
        mover.put(f"{number}.jpg", *(["ai:cats", "seen"] if number < MOVES else ["seen"]))
    calls(mover).clear()

    report = await mover.run()

    assert report.moved == MOVES
    assert calls(mover) == {"PROPFIND": 2, "MOVE": MOVES, "DELETE": MOVES}
    assert calls(mover).total() <= 2 * MOVES + 3


async def test_a_new_category_costs_one_request_more(mover: Sorting) -> None:
    for number in range(MOVES):
        mover.put(f"{number}.jpg", "ai:dogs")
    calls(mover).clear()

    await mover.run()

    assert calls(mover) == {"PROPFIND": 2, "MKCOL": 1, "MOVE": MOVES, "DELETE": MOVES}
    assert calls(mover).total() <= 2 * MOVES + 3


async def test_where_nothing_is_to_be_moved_one_request_tells_it(mover: Sorting) -> None:
    for number in range(FILES):
        mover.put(f"{number}.jpg", "seen", *(["ai:cats", "ai:dogs"] if number % 2 else []))
    calls(mover).clear()

    report = await mover.run()

    assert report.left == FILES // 2
    assert calls(mover) == {"PROPFIND": 1}


async def test_a_plan_takes_two_requests_and_changes_nothing(mover: Sorting) -> None:
    for number in range(MOVES):
        mover.put(f"{number}.jpg", "ai:Cats")
    mover.put("x.jpg", "ai:..")
    before = mover.stored.names()
    calls(mover).clear()

    plan = await mover.runs.plan()

    assert calls(mover) == {"PROPFIND": 2}
    assert len(plan.moves) == MOVES
    assert plan.moves[0].target == f"{ROOT}/cats/0.jpg"
    assert [left.source for left in plan.left] == [f"{UNSORTED}/x.jpg"]
    assert mover.stored.names() == before
    assert await mover.lines() == []
