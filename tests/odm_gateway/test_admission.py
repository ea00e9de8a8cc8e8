"""Whose task comes next."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from odm_gateway.admission import Admission
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.loops import TASKS
from shared.state import Collection, Order
from shared.state.open import open_store

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass
class Clock:
    now_s: float = 0

    def __call__(self) -> float:
        return self.now_s


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


async def worked_off(admission: Admission, count: int, clock: Clock, *, hours: dict[str, float]) -> list[str]:
    """Work on tasks one after the other, each to its end before the next, and return whose they are."""
    tenants = []
    for _ in range(count):
        for where in await admission.waiting():
            document = await admission.tasks.claim(
                where, owner="me", hold=timedelta(minutes=1), order=Order("inserted_us")
            )
            if document:
                with admission.in_hand(document.body):
                    clock.now_s += 3600 * hours.get(document.body.tenant, 1)
                tenants.append(document.body.tenant)
                break
    return tenants


async def test_with_a_single_slot_tenants_take_turns(tasks: Collection[Task]) -> None:
    for tenant in ("ann", "bob", "cid"):
        await queue(tasks, tenant, 20)
    clock = Clock()

    tenants = await worked_off(Admission(tasks, is_submodel=False, clock=clock), 12, clock, hours={})

    assert {tenant: tenants.count(tenant) for tenant in tenants} == {"ann": 4, "bob": 4, "cid": 4}
    assert set(tenants[:3]) == {"ann", "bob", "cid"}


async def test_what_is_shared_is_time_and_not_the_number_of_tasks(tasks: Collection[Task]) -> None:
    await queue(tasks, "ann", 20)
    await queue(tasks, "bob", 40)
    clock = Clock()

    tenants = await worked_off(Admission(tasks, is_submodel=False, clock=clock), 25, clock, hours={"ann": 4})

    assert tenants.count("ann") == 5


async def test_weights_divide_a_single_slot_and_the_smallest_one_gets_its_turn(
    tasks: Collection[Task],
) -> None:
    await queue(tasks, "ann", 90)
    await queue(tasks, "bob", 90)
    await queue(tasks, "cid", 5)
    clock = Clock()
    admission = Admission(tasks, is_submodel=False, weights={"bob": 3, "cid": 0.05}, clock=clock)

    tenants = await worked_off(admission, 81, clock, hours={})

    assert tenants.count("cid") in (1, 2)
    assert tenants.count("bob") == pytest.approx(60, abs=2)


async def test_who_comes_late_neither_pays_nor_is_paid_for_the_time_before(tasks: Collection[Task]) -> None:
    await queue(tasks, "bob", 30)
    clock = Clock()
    admission = Admission(tasks, is_submodel=False, clock=clock)
    assert await worked_off(admission, 10, clock, hours={}) == ["bob"] * 10

    await queue(tasks, "ann", 30)
    tenants = await worked_off(admission, 10, clock, hours={})

    assert tenants.count("ann") == 5
