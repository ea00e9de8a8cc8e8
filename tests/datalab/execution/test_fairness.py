"""Users take turns: who asks for much keeps nobody waiting, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from datalab.domain.asked import AskedOperation, State
from datalab.domain.computations import Computation, begun
from datalab.domain.users import Caller
from datalab.execution.collections import COMPUTATIONS
from datalab.execution.line import BY_TURN, WAITING, Line
from shared.platform import Platform
from shared.state import Between, Collection, Order, Where
from shared.state.query import Query
from shared.state.sql import select_sql, table_sql
from shared.state.sqlite import claimable
from tests.datalab.execution.conftest import BOB, Lab, frames, running_lab
from tests.support.archive import ArchiveSimulator

CAROL = Caller("carol")
MANY = 30


@pytest.mark.parametrize("workers", [1, 2])
async def test_one_operation_does_not_wait_for_all_that_another_user_asked_for(
    platform: Platform, archive: ArchiveSimulator, workers: int
) -> None:
    async with running_lab(platform, archive, workers=0) as lab:
        many = [await lab.ask("Sum", numbered(number)) for number in range(MANY)]
        his = await lab.ask("Sum", numbered(MANY), BOB)
        hers = await lab.ask("Sum", numbered(MANY - 1), CAROL)
    assert hers.key == many[-1].key

    async with running_lab(platform, archive, workers=workers) as lab:
        await lab.ended(his)
        await lab.ended(hers)
        order = await ended_in_order(lab, many)

    assert hers.key in order[: 3 + workers], "who shares what another asked for has a turn, too"
    assert len(order) <= 4 + 2 * workers


async def test_what_a_user_asks_for_comes_in_order(platform: Platform, archive: ArchiveSimulator) -> None:
    async with running_lab(platform, archive, workers=0) as lab:
        asked = [await lab.ask("Sum", numbered(number)) for number in range(6)]

    async with running_lab(platform, archive) as lab:
        for operation in asked:
            await lab.ended(operation)
        order = await ended_in_order(lab, asked)

    assert order == [operation.key for operation in asked]


async def test_what_has_to_wait_for_the_archive_lines_up_again(
    platform: Platform, archive: ArchiveSimulator
) -> None:
    fault = archive.fail("status", path="/files/", times=None, status=503, retry_after_s=2)
    async with running_lab(platform, archive) as lab:
        many = [await lab.ask("Sum", numbered(number)) for number in range(6)]
        async with asyncio.timeout(20):
            while not all([(await lab.computations.load(one.key)).body.delays for one in many]):
                await asyncio.sleep(0.02)
        archive.faults.remove(fault)
        his = await lab.ask("Sum", numbered(7), BOB)
        assert (await lab.ended(his)).state is State.COMPLETED
        for operation in many:
            assert (await lab.ended(operation)).state is State.COMPLETED


async def test_who_comes_later_comes_before_who_waits_once_at_most(platform: Platform) -> None:
    computations = await line(platform)
    await put(computations, "alice", 10)
    served = []

    for number in range(10):
        await put(computations, f"user{number}", 1)
        served += [await take(computations), await take(computations)]

    assert served.count("alice") == 10
    for many in range(2, 20):
        assert served[:many].count("alice") >= many // 2 - 1


async def test_users_with_much_share_and_a_new_one_waits_for_one_of_each(platform: Platform) -> None:
    computations = await line(platform)
    for user in ("alice", "bob", "carol"):
        await put(computations, user, 5)
    served = [await take(computations) for _ in range(4)]
    await put(computations, "dave", 1)

    served += [await take(computations) for _ in range(12)]

    assert Counter(served[:4]) == {"alice": 2, "bob": 1, "carol": 1}
    assert served.index("dave") < 4 + 3 + 4
    assert Counter(served) == {"alice": 5, "bob": 5, "carol": 5, "dave": 1}


def test_the_next_one_is_found_by_an_index_however_many_wait() -> None:
    of_user: Where = {**WAITING, "asked_by": "alice"}
    asked: list[tuple[Where, Order]] = [
        (WAITING, BY_TURN),
        (of_user, Order("turn", descending=True)),
        ({"state": State.IN_PROGRESS.value, "due_s": Between(high=1.0)}, Order("due_s")),
        ({**WAITING, "called_s": Between(high=1.0)}, Order("called_s")),
    ]
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in table_sql(COMPUTATIONS):
            connection.execute(statement)
        for where, order in asked:
            query = Query(COMPUTATIONS, where, order)
            part = claimable(query, datetime.now(UTC))
            sql, values = select_sql(query, part), (*part.condition.values, 1)
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))
            assert "SEARCH datalab_computations USING INDEX datalab_computations index" in plan
            assert plan.count("=?") == sum(isinstance(wanted, str) for wanted in where.values())
            assert "B-TREE" not in plan


async def line(platform: Platform) -> Collection[Computation]:
    await platform.store.declare(COMPUTATIONS)
    return Collection(platform.store, COMPUTATIONS, Computation)


async def put(computations: Collection[Computation], user: str, many: int) -> None:
    """Have a user ask for so many."""
    for _ in range(many):
        turn, key = await Line(computations).next_turn(user), uuid4().hex
        one = Computation(
            key=key, name="Sum", version=1, inputs={}, files=(), asked_by=user, turn=turn, created_us=1
        )
        await computations.insert(key, one)


async def take(computations: Collection[Computation]) -> str:
    """Begin the next one; return whose it is."""
    taken = await computations.claim(WAITING, owner="worker", hold=timedelta(hours=1), order=BY_TURN)
    assert taken is not None
    begin = partial(begun, now_us=1, attempt="a1")
    return (await computations.update(taken.id, begin, owner="worker")).body.asked_by


def numbered(number: int) -> dict[str, Any]:
    """Return inputs that no other number has."""
    return frames("frame1") | {"take_s": 0.02 + number / 1_000_000}


async def ended_in_order(lab: Lab, asked: list[AskedOperation]) -> list[str]:
    """Return the keys of what has been computed, in the order in which it was."""
    found = [(await lab.computations.load(key)).body for key in {one.key for one in asked}]
    return [one.key for one in sorted(found, key=lambda one: one.ended_us) if one.state.is_final]
