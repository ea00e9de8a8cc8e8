"""Cancel, retry and delete, at every stage."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import psutil
import pytest

from datalab.domain.asked import AskedOperation, State
from datalab.execution.storing import prefix_of
from shared.errors import NotFoundError
from shared.platform import Platform
from tests.datalab.execution.conftest import ALICE, BOB, Lab, frames, running_lab
from tests.datalab.execution.test_trouble import children
from tests.support.archive import ArchiveSimulator

SLOW = {"take_s": 60.0}


async def at_stage(lab: Lab, stage: str) -> AskedOperation:
    """Return an operation that is being computed, or has come so far."""
    if stage == "fetching":
        lab.archive.fail("hang", path="/files/", times=None)
    if stage == "waiting":
        blocking = await lab.ask("Sum", frames("frame4") | SLOW)
        await lab.until(blocking, State.IN_PROGRESS)
    operation = await lab.ask("Sum", frames("frame1") | SLOW)
    if stage in ("fetching", "computing"):
        await lab.until(operation, State.IN_PROGRESS)
    async with asyncio.timeout(20):
        while stage == "fetching" and not lab.archive.asked["files"]:
            await asyncio.sleep(0.02)
        while stage == "computing" and not children(lab.platform):
            await asyncio.sleep(0.02)
    return operation


@pytest.mark.parametrize("stage", ["waiting", "claiming", "fetching", "computing"])
async def test_cancel_stops_the_work_at_every_stage(lab: Lab, stage: str) -> None:
    operation = await at_stage(lab, stage)
    busy = [psutil.Process(pid) for pid in children(lab.platform)] if stage == "computing" else []

    operation = await lab.execution.operations.cancel(operation)

    shown = await lab.shown(operation)
    assert (shown.state, shown.message) == (State.CANCELLED, "Cancelled.")
    _, alive = await asyncio.to_thread(psutil.wait_procs, busy, 10)
    assert alive == []
    (event,) = await lab.told()
    assert (event.data.task_id, event.data.status) == (operation.document_id, "canceled")
    await free(lab, operation.key)
    assert [one async for one in lab.platform.objects.list(prefix_of(operation.key))] == []


async def test_cancelling_what_has_ended_changes_nothing(lab: Lab) -> None:
    operation = await lab.ask("Sum", frames("frame1"))
    ended = (await lab.ended(operation)).operation

    assert await lab.execution.operations.cancel(ended) == ended
    assert (await lab.shown(operation)).state is State.COMPLETED


async def test_work_that_another_wants_goes_on(lab: Lab) -> None:
    slow = frames("frame1") | {"take_s": 1.5}
    hers = await lab.ask("Sum", slow)
    his = await lab.ask("Sum", slow, BOB)

    await lab.execution.operations.cancel(hers)

    assert (await lab.ended(his)).state is State.COMPLETED
    assert (await lab.shown(hers)).state is State.CANCELLED


async def test_who_asks_for_what_was_just_cancelled_gets_it(lab: Lab) -> None:
    slow = frames("frame1") | {"take_s": 0.5}
    hers = await lab.ask("Sum", slow)
    await lab.until(hers, State.IN_PROGRESS)
    await lab.execution.operations.cancel(hers)

    his = await lab.ask("Sum", slow, BOB)

    assert (await lab.ended(his)).state is State.COMPLETED
    assert (await lab.shown(hers)).state is State.CANCELLED


@pytest.mark.parametrize("stage", ["waiting", "computing"])
async def test_cancelled_at_once_by_all_who_asked_it_ends(lab: Lab, stage: str) -> None:
    operation = await at_stage(lab, stage)
    others = [await lab.ask("Sum", frames("frame1") | SLOW, BOB) for _ in range(3)]

    await asyncio.gather(*(lab.execution.operations.cancel(one) for one in (operation, *others)))

    assert (await lab.computations.load(operation.key)).body.state is State.CANCELLED


async def test_retry_makes_a_cancelled_operation_run_again(lab: Lab) -> None:
    operation = await at_stage(lab, "waiting")
    cancelled = await lab.execution.operations.cancel(operation)
    for blocking in (await lab.operations.find({"key": cancelled.key})).items:
        assert blocking.body.state is State.CANCELLED

    again = await lab.execution.operations.retry(cancelled, ALICE)

    assert again.state is State.PENDING
    assert again.message == ""
    assert (await lab.computations.load(again.key)).body.state is State.PENDING


async def test_retry_makes_a_failed_operation_run_again(lab: Lab, archive: ArchiveSimulator) -> None:
    fault = archive.fail("status", path="/files/", status=503, times=None)
    failed = (await lab.ended(await lab.ask("Sum", frames("frame1")))).operation
    assert failed.state is State.FAILED
    archive.faults.remove(fault)

    again = await lab.execution.operations.retry(failed, ALICE)

    assert (await lab.ended(again)).state is State.COMPLETED
    assert [event.data.status for event in await lab.told(2)] == ["failed", "completed"]


async def test_deleting_the_last_operation_cancels_the_computation(lab: Lab) -> None:
    operation = await at_stage(lab, "computing")

    await lab.execution.operations.forget(operation)

    assert (await lab.computations.load(operation.key)).body.state is State.CANCELLED
    (event,) = await lab.told()
    assert event.data.status == "canceled"
    found = await lab.operations.find({"session": operation.session})
    assert found.items == []


async def test_deleting_twice_is_no_error(lab: Lab) -> None:
    operation = (await lab.ended(await lab.ask("Sum", frames("frame1")))).operation
    await lab.told()

    async with asyncio.timeout(10):
        while (await lab.operations.load(operation.document_id)).record.outbox:
            await asyncio.sleep(0.02)
    await lab.execution.operations.forget(operation)
    await lab.execution.operations.forget(operation)

    with pytest.raises(NotFoundError):
        await lab.operations.load(operation.document_id)
    assert (await lab.computations.load(operation.key)).body.state is State.COMPLETED


async def test_a_worker_that_is_told_to_end_hands_its_work_back(
    platform: Platform, archive: ArchiveSimulator
) -> None:
    lasting: dict[str, Any] = {"lease": timedelta(hours=1)}
    async with running_lab(platform, archive, shutdown_grace=timedelta(seconds=0), **lasting) as lab:
        operation = await at_stage(lab, "computing")
    assert children(platform) == []

    async with running_lab(platform, archive, **lasting) as lab:
        one = (await lab.computations.load(operation.key)).body
        assert (one.begun, one.state.is_final) == (0, False)
        async with asyncio.timeout(10):
            while not children(platform):
                await asyncio.sleep(0.02)
        await lab.execution.operations.cancel(operation)


async def free(lab: Lab, key: str) -> None:
    """Wait until nobody works on a computation."""
    async with asyncio.timeout(10):
        while True:
            lease = (await lab.computations.load(key)).record.lease
            if lease is None:
                return
            await asyncio.sleep(0.02)
