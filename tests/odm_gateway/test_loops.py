import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from typing_extensions import override

from odm_gateway.adapters.simulated_engine import SimulatedEngine
from odm_gateway.domain.tasks import CRASHES_AT_MOST, Status, Task, canceled, removed
from odm_gateway.loops import TASKS, TaskLoop
from odm_gateway.ports import Completed, Engine, EngineEvent, Job, Line, Progressed
from shared.errors import StorageFullError, TransientError
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform
from shared.state.owner import process_owner
from tests.support.gateway_process import task_loop


async def new_task(loop: TaskLoop, task_id: str | None = None, **changes: Any) -> str:
    """Queue a task of staged images and return its document's id."""
    for number in range(3):
        await loop.objects.put(f"staging/flight/{number}.jpg", bytes([number]))
    now = datetime.now(UTC)
    key = task_id or str(uuid4())
    facts = {
        "id": key, "name": "a", "created_at": now, "inserted_us": round(now.timestamp() * 1e6),
        "images": "staging/flight",
    }  # fmt: skip
    await loop.tasks.insert(key, Task.model_validate({**facts, **changes}))
    return key


@asynccontextmanager
async def working(loop: TaskLoop) -> AsyncIterator[None]:
    work = asyncio.create_task(loop.run())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait([work])


async def progressed(loop: TaskLoop, key: str) -> None:
    for _ in range(2000):
        if (await loop.tasks.load(key)).body.progress >= 10:
            return
        await asyncio.sleep(0.02)
    raise AssertionError


async def ended(loop: TaskLoop, key: str) -> Task:
    for _ in range(2000):
        if (task := (await loop.tasks.load(key)).body).status.finished:
            return task
        await asyncio.sleep(0.02)
    raise AssertionError(task)


@dataclass
class ScriptedEngine:
    """An engine that follows a script and remembers who asked for what."""

    script: list[EngineEvent | Exception]
    canceled: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    hangs: bool = False

    @asynccontextmanager
    async def follow(self, job: Job) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        self.followed.append(job.name)
        yield self._events()

    async def cancel(self, job: Job) -> None:
        self.canceled.append(job.name)

    async def remove(self, job: Job) -> None:
        self.removed.append(job.name)

    async def _events(self) -> AsyncIterator[EngineEvent]:
        while self.script:
            event = self.script.pop(0)
            if isinstance(event, Exception):
                raise event
            yield event
        await asyncio.sleep(60 if self.hangs else 0)


@dataclass
class OrderlyEngine:
    """An engine whose jobs end at once, or never; it remembers their order."""

    forever: bool = False
    order: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def follow(self, job: Job) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        self.order.append(job.name)
        yield self._events()

    async def cancel(self, job: Job) -> None:
        pass

    async def remove(self, job: Job) -> None:
        pass

    async def _events(self) -> AsyncIterator[EngineEvent]:
        if self.forever:
            await asyncio.sleep(60)
        yield Completed(())


@dataclass
class StubbornEngine(OrderlyEngine):
    """An engine that cannot remove one of its jobs now."""

    stubborn: str = ""
    asked: list[str] = field(default_factory=list)

    @override
    async def remove(self, job: Job) -> None:
        self.asked.append(job.name)
        if job.name == self.stubborn:
            raise TransientError("the cluster does not answer")


async def test_a_task_runs_to_its_end_and_hands_the_lease_back(platform: Platform) -> None:
    loop = await task_loop(platform, SimulatedEngine(platform.objects, seconds=0))
    key = await new_task(loop)
    async with working(loop):
        task = await ended(loop, key)
    assert (task.status, task.image_count, task.run, task.in_hand) == (Status.COMPLETED, 3, 1, False)
    record = (await loop.tasks.load(key)).record
    assert (record.lease, len(record.outbox)) == (None, 1)


async def test_oldest_tasks_are_worked_on_first(platform: Platform) -> None:
    loop = await task_loop(platform, SimulatedEngine(platform.objects, seconds=0))
    late, early = await new_task(loop, inserted_us=2), await new_task(loop, inserted_us=1)
    async with working(loop):
        finished = [(await ended(loop, key)).finished_at for key in (early, late)]
    assert finished == sorted(moment for moment in finished if moment)


async def test_a_cancel_stops_the_engine_and_beats_its_result(platform: Platform) -> None:
    engine = ScriptedEngine([Progressed("a", 10)], hangs=True)
    loop = await task_loop(platform, engine)
    key = await new_task(loop)
    async with working(loop):
        await progressed(loop, key)
        await loop.tasks.update(key, lambda task: canceled(task, datetime.now(UTC)))
        task = await ended(loop, key)
    assert (task.status, engine.canceled) == (Status.CANCELED, [f"odm-pipeline-{key}"])


async def test_work_that_has_to_stop_is_handed_back_at_once(platform: Platform) -> None:
    loop = await task_loop(platform, ScriptedEngine([Progressed("a", 10)], hangs=True))
    key = await new_task(loop)
    async with working(loop):
        await progressed(loop, key)
    document = await loop.tasks.load(key)
    assert (document.record.lease, document.body.in_hand, document.body.status) == (
        None,
        False,
        Status.RUNNING,
    )


async def test_lines_and_progress_are_stored(platform: Platform) -> None:
    script: list[EngineEvent | Exception] = [Line(f"line {number}") for number in range(12_000)]
    script += [Progressed("a", 50), Completed((), {"gsd": 2})]
    loop = await task_loop(platform, ScriptedEngine(list(script)))
    key = await new_task(loop)
    async with working(loop):
        task = await ended(loop, key)
    assert await loop.console.lines(key, 1) == [f"line {number}" for number in range(12_000)]
    assert (task.stage, task.summary) == ("a", {"gsd": 2})


async def test_trouble_that_may_pass_is_tried_again_and_shown(platform: Platform) -> None:
    engine = ScriptedEngine([StorageFullError("No space left"), Completed((), {})])
    loop = await task_loop(platform, engine)
    loop.retry_after = (timedelta(seconds=0.01),)
    key = await new_task(loop)
    async with working(loop):
        task = await ended(loop, key)
    assert (task.status, len(engine.followed)) == (Status.COMPLETED, 2)
    assert await loop.console.lines(key, 1) == ["No space left; trying again in 0.01 s"]


@pytest.mark.parametrize(
    ("error", "words"), [(TransientError("Out of reach"), "Out of reach"), (KeyError("x"), "internal error")]
)
async def test_trouble_that_stays_fails_the_task_with_its_words(
    platform: Platform, error: Exception, words: str
) -> None:
    loop = await task_loop(platform, ScriptedEngine([error]))
    key = await new_task(loop)
    async with working(loop):
        task = await ended(loop, key)
    assert (task.status, words in (task.error or "")) == (Status.FAILED, True)


async def test_a_task_that_keeps_killing_gateways_is_given_up(platform: Platform) -> None:
    engine = ScriptedEngine([Completed((), {})])
    loop = await task_loop(platform, engine)
    key = await new_task(loop, crashes=CRASHES_AT_MOST, in_hand=True, status=Status.RUNNING)
    async with working(loop):
        task = await ended(loop, key)
    assert (task.status, engine.followed) == (Status.FAILED, [])


async def test_tasks_of_a_dead_predecessor_are_taken_over_at_once(platform: Platform) -> None:
    host = process_owner().partition("/")[0]
    loop = await task_loop(platform, SimulatedEngine(platform.objects, seconds=0))
    key = await new_task(loop, status=Status.RUNNING, in_hand=True, run=1)
    await loop.tasks.claim({"status": 20}, owner=f"{host}/{2**22 + 1}/gone", hold=timedelta(hours=1))
    async with working(loop):
        assert (await ended(loop, key)).run == 2


async def test_tasks_of_a_living_gateway_are_left_to_it(platform: Platform) -> None:
    loop = await task_loop(platform, SimulatedEngine(platform.objects, seconds=0), owner="other")
    key = await new_task(loop)
    await loop.tasks.claim({"status": 10}, owner=process_owner(), hold=timedelta(hours=1))
    async with working(loop):
        await asyncio.sleep(0.3)
    assert (await loop.tasks.load(key)).body.run == 0


async def test_finished_tasks_are_tidied_once(platform: Platform) -> None:
    engine = ScriptedEngine([Completed((), {})])
    loop = await task_loop(platform, engine)
    key = await new_task(loop)
    async with working(loop):
        await ended(loop, key)
    await loop.tidy_all()
    await loop.tidy_all()
    assert engine.removed == [f"odm-pipeline-{key}"]


async def test_a_removed_task_leaves_nothing_behind_once_its_end_is_told(platform: Platform) -> None:
    engine: Engine = SimulatedEngine(platform.objects, seconds=0)
    loop = await task_loop(platform, engine)
    key = await new_task(loop)
    async with working(loop):
        await ended(loop, key)
    await loop.tasks.update(key, lambda task: removed(task, datetime.now(UTC)))
    await loop.tidy_all()
    assert [stored.key async for stored in platform.objects.list("products/")] == []
    assert await loop.tasks.get(key) is not None  # task-completed still waits in its outbox
    await OutboxRelay(platform.transport, platform.store, [TASKS.name]).flush()
    await loop.tidy_all()
    assert await loop.tasks.get(key) is None


async def test_what_cannot_be_tidied_now_keeps_nothing_else_from_it(platform: Platform) -> None:
    engine = StubbornEngine(stubborn="odm-pipeline-bad")
    loop = await task_loop(platform, engine)
    now = datetime.now(UTC)
    for name in ("bad", "good", "more"):
        await new_task(loop, name)
        await loop.tasks.update(name, lambda task: removed(task, now))

    await loop.tidy_all()

    assert [await loop.tasks.get(name) is None for name in ("bad", "good", "more")] == [False, True, True]
    assert engine.asked.count("odm-pipeline-bad") == 1


async def test_a_single_slot_is_shared_by_tenants(platform: Platform) -> None:
    engine = OrderlyEngine()
    loop = await task_loop(platform, engine)
    for number in range(4):
        await new_task(loop, f"ann-{number}", tenant="ann")
    for number in range(2):
        await new_task(loop, f"bob-{number}", tenant="bob")
    async with working(loop):
        for key in ("ann-3", "bob-1"):
            await ended(loop, key)
    tenants = [name.removeprefix("odm-pipeline-").partition("-")[0] for name in engine.order]
    assert set(tenants[:2]) == {"ann", "bob"}


async def test_slots_that_are_free_together_go_to_several_tenants(platform: Platform) -> None:
    engine = OrderlyEngine(forever=True)
    loop = await task_loop(platform, engine, at_once=4)
    for number in range(9):
        await new_task(loop, f"ann-{number}", tenant="ann")
        await new_task(loop, f"bob-{number}", tenant="bob")
    async with working(loop), asyncio.timeout(30):
        while len(engine.order) < 4:
            await asyncio.sleep(0.02)
    assert sum("ann" in name for name in engine.order) == 2


async def test_parts_of_an_earlier_attempt_do_not_work_on(platform: Platform) -> None:
    loop = await task_loop(platform, OrderlyEngine())
    now = datetime.now(UTC)
    await new_task(loop, "whole", attempt=2, created_at=now)
    await new_task(loop, "old", parent="whole", is_submodel=True, inserted_us=1)
    later_us = round((now + timedelta(hours=1)).timestamp() * 1e6)
    await new_task(loop, "new", parent="whole", is_submodel=True, inserted_us=later_us)

    async with working(loop):
        await ended(loop, "whole")

    assert (await loop.tasks.load("old")).body.removing
    assert not (await loop.tasks.load("new")).body.removing
