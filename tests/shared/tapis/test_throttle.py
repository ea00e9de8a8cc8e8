from __future__ import annotations

import asyncio
import time

from shared.tapis.throttle import AT_MOST, START, SYSTEMS_KEPT, Throttle, Throttles


async def peak_of(throttle: Throttle, count: int) -> int:
    busy = peak = 0

    async def work() -> None:
        nonlocal busy, peak
        async with throttle.slot():
            busy += 1
            peak = max(peak, busy)
            await asyncio.sleep(0.001)
            busy -= 1

    await asyncio.gather(*(work() for _ in range(count)))
    return peak


async def test_no_more_are_under_way_than_the_limit() -> None:
    throttle = Throttle()

    assert await peak_of(throttle, 50) == START
    assert throttle.is_idle


async def test_success_lets_more_begin_up_to_a_bound() -> None:
    throttle = Throttle()
    for _ in range(1000):
        throttle.succeeded()

    assert throttle.limit == AT_MOST
    assert await peak_of(throttle, 50) == AT_MOST


async def test_requests_that_were_under_way_together_are_one_sign() -> None:
    throttle = Throttle(start=8)

    async def fail() -> None:
        async with throttle.slot():
            await asyncio.sleep(0.01)
        throttle.slowed(0)

    await asyncio.gather(*(fail() for _ in range(8)))

    assert throttle.limit == 4


async def test_one_is_always_let_through() -> None:
    throttle = Throttle()
    for _ in range(20):
        async with throttle.slot():
            pass
        throttle.slowed(0)

    assert throttle.limit == 1
    assert await peak_of(throttle, 5) == 1


async def test_nothing_begins_during_a_pause() -> None:
    throttle = Throttle()
    throttle.slowed(0.2)
    begun_s = time.monotonic()
    async with throttle.slot():
        assert time.monotonic() - begun_s >= 0.19


async def test_who_is_canceled_while_waiting_takes_no_turn_along() -> None:
    throttle = Throttle(start=1)

    async def wait() -> None:
        async with throttle.slot():
            await asyncio.sleep(0)

    async with throttle.slot():
        waiting = [asyncio.create_task(wait()) for _ in range(10)]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
    waiting[1].cancel()
    await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)

    assert throttle.is_idle


def test_systems_that_nobody_asks_are_forgotten() -> None:
    throttles = Throttles()
    for number in range(SYSTEMS_KEPT + 500):
        throttles.of(str(number))

    assert len(throttles._of) == SYSTEMS_KEPT
