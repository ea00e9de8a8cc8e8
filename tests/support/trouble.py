"""Publishing to a bus in trouble, and waiting for what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shared.errors import TransientError
from shared.events import Event, FlightFound
from shared.messaging.bus import Bus


def work_queue(bus: Bus) -> str:
    return bus.topology.subscriptions[0].queue


async def eventually(true: Callable[[], Awaitable[bool]], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not await true():
            await asyncio.sleep(0.05)


async def publish_surely(bus: Bus, event: Event[FlightFound]) -> None:
    """Publish until the broker confirms, as the relay does."""
    while True:
        try:
            await bus.publish(event)
        except TransientError:
            await asyncio.sleep(0.2)
        else:
            return


async def publish_many(bus: Bus, events: list[Event[FlightFound]], publishers: int = 8) -> None:
    async def some(start: int) -> None:
        for event in events[start::publishers]:
            await publish_surely(bus, event)
            await asyncio.sleep(0.002)

    await asyncio.gather(*map(some, range(publishers)))


async def dead_letters(bus: Bus, within_s: float = 30) -> list[str]:
    """Wait for dead letters and return their ids."""
    ids: list[str] = []

    async def died() -> bool:
        ids.extend([letter.id async for letter in bus.transport.dead_letters(work_queue(bus))])
        return bool(ids)

    await eventually(died, within_s)
    return ids


async def told(bus: Bus, at_least: int) -> set[str]:
    ids: set[str] = set()
    async with (
        bus.transport.consume(work_queue(bus), prefetch=100) as deliveries,
        asyncio.timeout(30),
    ):
        while len(ids) < at_least:
            ids.add((await anext(deliveries)).message.event_id)
    return ids
