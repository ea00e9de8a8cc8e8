"""Holding a lease while work goes on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from shared.state.documents import Change, Collection, LeaseLostError
from shared.state.lease import hold
from shared.state.open import open_store
from shared.state.port import CollectionSpec, Index

SHORT = timedelta(seconds=0.9)
LONG = timedelta(minutes=5)


class Task(BaseModel):
    state: str = "new"


@pytest.fixture
async def tasks(tmp_path: Path) -> AsyncIterator[Collection[Task]]:
    async with open_store(f"sqlite://{tmp_path}/state.db") as store:
        spec = CollectionSpec("tasks", (Index(("state",)),))
        await store.declare(spec)
        collection = Collection(store, spec, Task)
        await collection.insert("1", Task())
        yield collection


async def owner(tasks: Collection[Task]) -> str | None:
    lease = (await tasks.load("1")).record.lease
    return lease.owner if lease and lease.until > datetime.now(UTC) else None


async def rob(tasks: Collection[Task]) -> None:
    """Give the lease to somebody else, as if it had lapsed."""
    await tasks.update("1", lambda task: Change(task, release=True))
    await tasks.claim({"state": "new"}, owner="robber", hold=LONG)


async def test_a_held_lease_outlives_its_first_term(tasks: Collection[Task]) -> None:
    await tasks.claim({"state": "new"}, owner="me", hold=SHORT)

    async with hold(tasks, "1", "me", SHORT):
        await asyncio.sleep(2 * SHORT.total_seconds())
        assert await owner(tasks) == "me"
        assert await tasks.claim({"state": "new"}, owner="other", hold=SHORT) is None


async def test_nobody_renews_after_the_block(tasks: Collection[Task]) -> None:
    await tasks.claim({"state": "new"}, owner="me", hold=SHORT)
    async with hold(tasks, "1", "me", SHORT):
        pass
    assert await owner(tasks) == "me"

    await asyncio.sleep(1.2 * SHORT.total_seconds())
    assert await owner(tasks) is None


async def test_without_the_lease_the_work_does_not_begin(tasks: Collection[Task]) -> None:
    await tasks.claim({"state": "new"}, owner="other", hold=LONG)

    with pytest.raises(LeaseLostError, match="held by other"):
        async with hold(tasks, "1", "me", SHORT):
            pytest.fail("the work began")


@pytest.mark.parametrize("loss", ["robbed", "deleted"])
async def test_losing_the_lease_stops_the_work(tasks: Collection[Task], loss: str) -> None:
    await tasks.claim({"state": "new"}, owner="me", hold=SHORT)

    async def work() -> None:
        async with hold(tasks, "1", "me", SHORT), asyncio.timeout(5):
            await (rob(tasks) if loss == "robbed" else tasks.delete(await tasks.load("1")))
            await asyncio.sleep(10)
            pytest.fail("the work went on")

    with pytest.raises(LeaseLostError):
        await work()
    await asyncio.sleep(0)  # the task itself is not cancelled any more


async def test_a_store_out_of_reach_ends_the_work_when_the_lease_lapses(
    tasks: Collection[Task], tmp_path: Path
) -> None:
    await tasks.claim({"state": "new"}, owner="me", hold=SHORT)

    async def work(other: sqlite3.Connection) -> None:
        async with hold(tasks, "1", "me", SHORT), asyncio.timeout(5):
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(10)

    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        with pytest.raises(LeaseLostError, match="out of reach"):
            await work(other)
        other.execute("ROLLBACK")


async def test_the_works_own_error_comes_out_as_it_is(tasks: Collection[Task]) -> None:
    await tasks.claim({"state": "new"}, owner="me", hold=SHORT)

    with pytest.raises(ValueError, match="my own"):
        async with hold(tasks, "1", "me", SHORT):
            raise ValueError("my own")


async def test_being_cancelled_from_outside_stays_a_cancellation(tasks: Collection[Task]) -> None:
    await tasks.claim({"state": "new"}, owner="me", hold=SHORT)
    begun = asyncio.Event()

    async def work() -> None:
        async with hold(tasks, "1", "me", SHORT):
            begun.set()
            await asyncio.sleep(10)

    working = asyncio.create_task(work())
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
