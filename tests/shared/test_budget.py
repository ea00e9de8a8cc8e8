"""Memory is lent in turn."""

from __future__ import annotations

import asyncio

from shared.budget import Budget


async def test_bytes_are_lent_in_turn_and_come_back_early() -> None:
    budget = Budget(100)
    order: list[str] = []

    async def take(name: str, size_bytes: int) -> None:
        async with budget.lent(size_bytes) as loan:
            order.append(name)
            await asyncio.sleep(0.01)
            loan.shrink(10)
            order.append(f"{name} less")
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as tasks:
        for name, size_bytes in (("a", 90), ("b", 90), ("c", 5), ("huge", 1000)):
            tasks.create_task(take(name, size_bytes))

    assert order == ["a", "a less", "b", "b less", "c", "c less", "huge", "huge less"]
    assert budget.free_bytes == 100
