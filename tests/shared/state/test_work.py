"""Working on documents that wait, by several queues at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from shared.state import Change, Collection, CollectionSpec, Document, Index, Order, Where
from shared.state.open import open_store
from shared.state.owner import process_owner
from shared.state.work import WorkQueue

JOBS = 30
LONG = timedelta(minutes=5)
NEW: Where = {"state": "new"}
URGENT: Where = {"state": "urgent"}


class Job(BaseModel):
    state: str = "new"


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[Collection[Job]]:
    async with open_store(f"sqlite://{tmp_path}/state.db") as store:
        spec = CollectionSpec("jobs", (Index(("state",)),))
        await store.declare(spec)
        yield Collection(store, spec, Job)


def queue_of(jobs: Collection[Job], owner: str = "me") -> WorkQueue[Job]:
    async def waiting() -> Sequence[Where]:
        return [URGENT, NEW]

    return WorkQueue(jobs, waiting, Order(), owner, LONG, at_once=2, left_behind=NEW)


@asynccontextmanager
async def working(queue: WorkQueue[Job], done: Counter[str]) -> AsyncIterator[None]:
    async def work(document: Document[Job]) -> None:
        done[document.id] += 1
        await queue.collection.update(
            document.id, lambda _: Change(Job(state="done"), release=True), owner=queue.owner
        )

    running = asyncio.create_task(queue.run(work))
    yield
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def all_done(jobs: Collection[Job], count: int) -> None:
    async with asyncio.timeout(20):
        while await jobs.count({"state": "done"}) < count:
            await asyncio.sleep(0.02)


async def test_given_two_queues_when_both_work_then_each_document_is_done_once(jobs: Collection[Job]) -> None:
    done: Counter[str] = Counter()
    for number in range(JOBS):
        await jobs.insert(str(number), Job())

    async with working(queue_of(jobs, "me"), done), working(queue_of(jobs, "you"), done):
        await all_done(jobs, JOBS)

    assert done == Counter({str(number): 1 for number in range(JOBS)})


async def test_given_an_idle_queue_when_woken_then_new_work_is_done_before_the_next_poll(
    jobs: Collection[Job],
) -> None:
    queue, done = queue_of(jobs), Counter[str]()

    async with working(queue, done), asyncio.timeout(5):
        await asyncio.sleep(0.1)  # it has looked and found nothing
        await jobs.insert("late", Job())
        queue.wake()
        await all_done(jobs, 1)

    assert done["late"] == 1


async def test_given_work_that_comes_first_when_claimed_then_it_is_done_before_older_work(
    jobs: Collection[Job],
) -> None:
    for number in range(4):
        await jobs.insert(str(number), Job())
    await jobs.insert("z", Job(state="urgent"))

    async with working(queue_of(jobs), done := Counter[str]()):
        await all_done(jobs, 5)

    assert next(iter(done)) == "z"


async def test_given_long_work_when_no_slot_is_free_then_nothing_more_is_claimed(
    jobs: Collection[Job],
) -> None:
    for number in range(5):
        await jobs.insert(str(number), Job())
    queue, in_hand, go_on = queue_of(jobs), set[str](), asyncio.Event()

    async def work(document: Document[Job]) -> None:
        in_hand.add(document.id)
        await go_on.wait()

    running = asyncio.create_task(queue.run(work))
    await asyncio.sleep(0.3)

    assert len(in_hand) == queue.at_once
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_given_a_lease_of_a_dead_process_when_started_then_its_work_is_done_at_once(
    jobs: Collection[Job],
) -> None:
    script = "from shared.state.owner import process_owner; print(process_owner())"
    dead = await asyncio.to_thread(subprocess.check_output, [sys.executable, "-c", script], text=True)
    await jobs.insert("left", Job())
    await jobs.claim(NEW, owner=dead.strip(), hold=LONG)

    async with working(queue_of(jobs), Counter()):
        await all_done(jobs, 1)


async def test_given_a_lease_of_a_living_process_when_started_then_its_work_is_left_alone(
    jobs: Collection[Job],
) -> None:
    await jobs.insert("taken", Job())
    await jobs.claim(NEW, owner=process_owner(), hold=LONG)

    async with working(queue_of(jobs), done := Counter[str]()):
        await asyncio.sleep(0.3)

    assert done["taken"] == 0


async def test_given_a_bug_in_the_work_on_one_document_then_the_others_are_done(
    jobs: Collection[Job],
) -> None:
    for number in range(4):
        await jobs.insert(str(number), Job())
    queue = queue_of(jobs)

    async def work(document: Document[Job]) -> None:
        if document.id in "01":
            raise ZeroDivisionError
        await jobs.update(document.id, lambda _: Change(Job(state="done"), release=True), owner=queue.owner)

    running = asyncio.create_task(queue.run(work))
    await all_done(jobs, 2)

    assert not running.done()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_given_free_slots_when_the_next_is_chosen_then_those_before_it_count_as_in_hand(
    jobs: Collection[Job],
) -> None:
    counts, in_hand = [], 0

    async def waiting() -> Sequence[Where]:
        await jobs.count({})
        counts.append(in_hand)
        return [NEW]

    @contextmanager
    def counted(_: Document[Job]) -> Iterator[None]:
        nonlocal in_hand
        in_hand += 1
        try:
            yield
        finally:
            in_hand -= 1

    queue = WorkQueue(jobs, waiting, Order(), "me", LONG, at_once=3, left_behind=NEW, in_hand=counted)
    for number in range(3):
        await jobs.insert(str(number), Job())
    async with working(queue, Counter()):
        await all_done(jobs, 3)

    assert counts[0] == 0
    assert counts[1] == 1
    assert in_hand == 0
