"""Whose task comes next."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from odm_gateway.admission import Admission
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.loops import TASKS
from shared.state import Collection, Order
from shared.state.open import open_store

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
async def tasks(tmp_path: Path) -> AsyncIterator[Collection[Task]]:
    async with open_store(f"sqlite://{tmp_path}/state.db") as store:
        await store.declare(TASKS)
        yield Collection(store, TASKS, Task)


async def queue(
    tasks: Collection[Task],
    tenant: str,
    count: int,
    *,
    status: Status = Status.QUEUED,
    is_submodel: bool = False,
) -> None:
    for number in range(count):
        task_id = f"{tenant or 'nobody'}-{status}-{is_submodel}-{number}"
        task = Task(
            id=task_id, tenant=tenant, created_at=NOW, inserted_us=number, images="i", status=status,
            is_submodel=is_submodel,
        )  # fmt: skip
        await tasks.insert(task_id, task)


async def claimed(admission: Admission, count: int) -> list[str]:
    """Claim tasks one after the other, all of which stay in hand, and return whose they are."""
    tenants = []
    with ExitStack() as hands:
        for _ in range(count):
            for where in await admission.waiting():
                document = await admission.tasks.claim(
                    where, owner="me", hold=timedelta(minutes=1), order=Order("inserted_us")
                )
                if document:
                    hands.enter_context(admission.in_hand(document.body))
                    tenants.append(document.body.tenant)
                    break
    return tenants


async def test_a_tenant_with_many_tasks_does_not_keep_the_others_waiting(tasks: Collection[Task]) -> None:
    await queue(tasks, "ann", 50)
    await queue(tasks, "bob", 3)
    await queue(tasks, "", 3)

    tenants = await claimed(Admission(tasks, is_submodel=False), 9)

    assert {tenant: tenants.count(tenant) for tenant in tenants} == {"": 3, "ann": 3, "bob": 3}


async def test_weights_divide_the_slots(tasks: Collection[Task]) -> None:
    await queue(tasks, "ann", 20)
    await queue(tasks, "bob", 20)

    tenants = await claimed(Admission(tasks, is_submodel=False, weights={"ann": 3}), 12)

    assert tenants.count("ann") == 9


async def test_finished_tasks_and_submodels_are_no_tasks_that_wait(tasks: Collection[Task]) -> None:
    await queue(tasks, "ann", 2, status=Status.COMPLETED)
    await queue(tasks, "bob", 1, is_submodel=True)
    await queue(tasks, "cid", 1)

    assert await claimed(Admission(tasks, is_submodel=False), 3) == ["cid"]
    assert await claimed(Admission(tasks, is_submodel=True), 3) == ["bob"]


async def test_without_tasks_nothing_is_claimed(tasks: Collection[Task]) -> None:
    assert await Admission(tasks, is_submodel=False).waiting() == []
