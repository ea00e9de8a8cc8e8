"""What an attempt stored that came to nothing is found and deleted, and no other attempt loses anything."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from datalab.domain.asked import AskedOperation, State
from datalab.execution.storing import Storing, prefix_of
from shared.platform import Platform
from tests.datalab.execution.conftest import ALICE, Lab, frames, running_lab
from tests.datalab.execution.test_kills import Workers, asking, keys_of
from tests.support.archive import ArchiveSimulator
from tests.support.columns import Column
from tests.support.zygote import zygote

MANY = 100
"""Outputs: while they are stored there is time for something to happen."""


async def test_what_a_cancelled_operation_had_stored_goes(
    platform: Platform, archive: ArchiveSimulator
) -> None:
    async with running_lab(platform, archive, lease=timedelta(seconds=1)) as lab:
        operation = await lab.ask("Sum", many())
        await until_storing(lab, operation)

        await lab.execution.operations.cancel(operation)

        assert (await lab.shown(operation)).state is State.CANCELLED
        await until_stored(lab, operation, set())
        async with asyncio.timeout(20):
            while (await lab.computations.load(operation.key)).body.is_littered:
                await asyncio.sleep(0.05)


async def test_what_a_killed_worker_had_stored_goes_and_what_the_next_stored_stays(
    tmp_path: Path, archive: ArchiveSimulator
) -> None:
    (tmp_path / "home").mkdir()
    with zygote("tests.support.datalab_worker") as warm:
        workers = Workers(Column(tmp_path / "home"), warm, archive)
        async with asking(workers.column, archive) as lab:
            operation = await lab.ask("Sum", many())
            with workers.running() as child:
                await until_storing(lab, operation)
                child.kill()
            before = await stored(lab, operation)
            with workers.running():
                assert (await lab.ended(operation, within_s=60)).state is State.COMPLETED
                one = (await lab.computations.load(operation.key)).body
                await until_stored(lab, operation, set(keys_of(one)))

    assert before
    assert not before & set(keys_of(one))
    assert len(keys_of(one)) == 3 * MANY


async def test_an_attempt_under_way_loses_nothing_to_a_sweep(lab: Lab) -> None:
    operation = await lab.ask("Sum", many())
    left = f"{prefix_of(operation.key)}/before/left.fits"
    await lab.platform.objects.put(left, b"x")
    await until_storing(lab, operation, at_least=2)

    await Storing(lab.platform.objects).sweep(lab.computations, operation.key)

    assert left not in await stored(lab, operation)
    assert (await lab.ended(operation)).state is State.COMPLETED
    assert await lab.stored(operation) == [f"100 {number}".encode() for number in range(MANY)]


@pytest.mark.long
async def test_what_is_retried_leaves_nothing_of_what_was_cancelled(
    platform: Platform, archive: ArchiveSimulator
) -> None:
    async with running_lab(platform, archive, lease=timedelta(seconds=1)) as lab:
        operation = await lab.ask("Sum", many())
        await until_storing(lab, operation)
        cancelled = await lab.execution.operations.cancel(operation)

        again = await lab.execution.operations.retry(cancelled, ALICE)

        assert (await lab.ended(again)).state is State.COMPLETED
        one = (await lab.computations.load(again.key)).body
        await until_stored(lab, again, set(keys_of(one)))
        assert len(keys_of(one)) == 3 * MANY


def many() -> dict[str, Any]:
    return frames("frame1") | {"outputs": MANY}


async def stored(lab: Lab, operation: AskedOperation) -> set[str]:
    """Return the objects below a computation's prefix."""
    return {one.key async for one in lab.platform.objects.list(f"{prefix_of(operation.key)}/")}


async def until_storing(lab: Lab, operation: AskedOperation, at_least: int = 1) -> None:
    async with asyncio.timeout(30):
        while len(await stored(lab, operation)) < at_least:
            await asyncio.sleep(0.01)


async def until_stored(lab: Lab, operation: AskedOperation, expected: set[str]) -> None:
    async with asyncio.timeout(30):
        while await stored(lab, operation) != expected:
            await asyncio.sleep(0.05)
