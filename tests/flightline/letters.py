"""Dead letters to try commands on."""

from __future__ import annotations

import asyncio

from flightline.pipeline import SUBSCRIPTIONS
from shared.errors import PermanentError
from shared.events import Event, FlightFound
from shared.messaging.bus import Bus, open_bus
from shared.messaging.port import Topology
from tests.support.columns import Column
from tests.support.events import flight_found

QUEUE = "ingest.flight-found"


async def refuse(event: Event[FlightFound]) -> None:
    raise PermanentError(f"nobody wants {event.data.flight_id}")


def bury(column: Column, *flight_ids: str) -> list[str]:
    """Have an event of each flight refused, and return their ids."""
    events = [flight_found(flight_id) for flight_id in flight_ids]

    async def refused() -> None:
        topology = Topology(SUBSCRIPTIONS)
        async with open_bus(column.settings.bus, topology, service="ingest") as bus:
            consumer = bus.consumer(prefetch=1)
            consumer.on(FlightFound, refuse)
            async with consumer:
                for event in events:
                    await bus.publish(event)
                await until_buried(bus, len(events))

    asyncio.run(refused())
    return [event.id for event in events]


async def until_buried(bus: Bus, count: int) -> None:
    async with asyncio.timeout(20):
        while len([letter async for letter in bus.transport.dead_letters(QUEUE)]) < count:
            await asyncio.sleep(0.05)
