from __future__ import annotations

import asyncio
import random

import pytest

from ingest.limits import BEGIN_WITH, Lane, Limits
from shared.budget import Budget


class Clock:
    """A clock that stands still unless it is told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_lane_widens_by_one_for_each_round_that_goes_well() -> None:
    lane = Lane(16)
    widths = []
    for _ in range(60):
        lane.went_well()
        widths.append(lane.allowed)

    assert widths[0] == BEGIN_WITH
    assert widths == sorted(widths)
    assert 9 <= widths[-1] <= 16


def test_a_lane_halves_once_for_failures_that_come_together() -> None:
    clock = Clock()
    lane = Lane(16, clock)
    for _ in range(5):
        lane.was_too_much()
    together = lane.allowed
    clock.now_s += 2
    lane.was_too_much()
    clock.now_s += 2
    lane.was_too_much()

    assert (together, lane.allowed) == (2, 1)


async def test_a_lane_never_lets_more_through_than_it_allows() -> None:
    lane, inside, most = Lane(3), 0, 0

    async def pass_through() -> None:
        nonlocal inside, most
        async with lane.place():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(pass_through() for _ in range(50)))

    assert (most, inside) == (3, 0)


async def test_a_closed_lane_opens_when_its_time_has_come() -> None:
    lane = Lane(3)
    lane.was_too_much(0.2)
    began = asyncio.get_running_loop().time()
    async with lane.place():
        waited = asyncio.get_running_loop().time() - began

    assert waited >= 0.19


async def test_who_is_cancelled_while_waiting_takes_no_place_along() -> None:
    lane = Lane(1)
    async with lane.place():
        waiting = [asyncio.create_task(lane.place().__aenter__()) for _ in range(5)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    async with asyncio.timeout(10), lane.place():
        pass


async def test_systems_have_lanes_of_their_own_that_are_forgotten() -> None:
    limits = Limits(8, Budget(100))
    one, other = limits.lane("tapis:a", 16), limits.lane("tapis:b", 2)

    assert one is limits.lane("tapis:a", 16)
    assert (one.allowed, other.allowed) == (4, 2)
    del one, other
    assert len(limits._lanes) == 0


async def test_a_budget_is_never_overdrawn_and_comes_back_whole() -> None:
    budget, lent_bytes, most_bytes = Budget(100), 0, 0
    chance = random.Random(7)

    async def borrow(size_bytes: int) -> None:
        nonlocal lent_bytes, most_bytes
        async with budget.lent(size_bytes):
            lent_bytes += min(size_bytes, 100)
            most_bytes = max(most_bytes, lent_bytes)
            try:
                await asyncio.sleep(0.001)
            finally:
                lent_bytes -= min(size_bytes, 100)

    tasks = [asyncio.create_task(borrow(chance.choice([1, 30, 60, 100, 500]))) for _ in range(200)]
    await asyncio.sleep(0.01)
    for task in chance.sample(tasks, 60):
        task.cancel()
    await asyncio.wait(tasks)

    assert most_bytes <= 100
    async with asyncio.timeout(10), budget.lent(100):
        pass


async def test_a_large_file_is_not_kept_waiting_for_ever_by_small_ones() -> None:
    budget, order = Budget(10), []

    async def borrow(name: str, size_bytes: int) -> None:
        async with budget.lent(size_bytes):
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(borrow("a", 6), borrow("large", 10), borrow("b", 4), borrow("c", 4))

    assert order == ["a", "large", "b", "c"]


@pytest.mark.parametrize("at_most", [1, 2, 64])
def test_a_lane_is_never_shut_nor_wider_than_allowed(at_most: int) -> None:
    clock = Clock()
    lane, chance = Lane(at_most, clock), random.Random(at_most)
    for _ in range(500):
        clock.now_s += 1
        (lane.went_well if chance.random() < 0.7 else lane.was_too_much)()
        assert 1 <= lane.allowed <= at_most
