"""A consumer whose effects can be counted, alone or as a process that a test may kill.

Each flight is a document; handling a finding adds one to it, once per event, however often that is delivered.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import BaseModel

from shared.events import Event, FlightFound
from shared.messaging.bus import open_bus
from shared.state import Collection, CollectionSpec
from shared.state.open import open_store
from tests.support.events import one_queue

FLIGHTS = CollectionSpec("flights")


class Flight(BaseModel):
    """What happened to a flight."""

    found: int = 0


Flights = Collection[Flight]


@asynccontextmanager
async def open_flights(state_url: str) -> AsyncIterator[Flights]:
    """Open the documents."""
    async with open_store(state_url) as store:
        await store.declare(FLIGHTS)
        yield Collection(store, FLIGHTS, Flight)


async def count(event: Event[FlightFound], *, flights: Flights) -> None:
    """Add one to the flight, once per event."""
    await flights.ensure(event.data.flight_id, Flight())
    await flights.update(event.data.flight_id, lambda flight: Flight(found=flight.found + 1), seen=event)


async def found(flights: Flights) -> list[int]:
    """Return how often each flight was found."""
    counts: list[int] = []
    cursor = None
    while True:
        page = await flights.find({}, limit=500, after=cursor)
        counts += [document.body.found for document in page.items]
        if (cursor := page.cursor) is None:
            return counts


async def main(bus_url: str, service: str, state_url: str) -> None:
    """Consume until killed."""
    async with (
        open_flights(state_url) as flights,
        open_bus(bus_url, one_queue(service), service=service) as bus,
    ):
        consumer = bus.consumer(prefetch=20)
        consumer.on(FlightFound, count, flights=flights)
        async with consumer:
            print("consuming", flush=True)  # noqa: T201 - what the test waits for
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
