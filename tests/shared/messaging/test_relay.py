from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel

from shared.events import ImagesStaged, new_event
from shared.messaging.background import background
from shared.messaging.bus import open_transport
from shared.messaging.port import UNROUTED_QUEUE, Transport
from shared.messaging.relay import DOCUMENTS_AT_ONCE, OutboxRelay
from shared.state import Change, Collection, CollectionSpec
from shared.state.open import open_store
from shared.state.port import Store
from tests.support.events import flight_found, one_queue

QUEUE = "ingest.flight-found"
FLIGHTS = CollectionSpec("flights")


class Flight(BaseModel):
    changes: int = 0


@dataclass(frozen=True)
class Setup:
    path: Path
    transport: Transport
    store: Store
    relay: OutboxRelay
    flights: Collection[Flight]

    async def told(self) -> list[str]:
        """Return the ids of the events in the queue, in their order."""
        ids = []
        count = await self.transport.depth(QUEUE)
        async with self.transport.consume(QUEUE, prefetch=1000) as deliveries, asyncio.timeout(30):
            for _ in range(count):
                ids.append((await anext(deliveries)).message.event_id)  # noqa: PERF401 - bounded by a timeout
        return ids

    async def waits(self) -> int:
        """Return how many documents have something in their outbox."""
        return len(await self.store.pending(FLIGHTS.name, 1000))


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(open_transport(f"sqlite://{tmp_path}/bus.db"))
        store = await stack.enter_async_context(open_store(f"sqlite://{tmp_path}/state.db"))
        await transport.declare(one_queue())
        await store.declare(FLIGHTS)
        relay = OutboxRelay(transport, store, [FLIGHTS.name])
        flights = Collection(store, FLIGHTS, Flight, wake=relay.wake)
        yield Setup(tmp_path, transport, store, relay, flights)


async def test_an_outbox_is_published_in_order_and_crossed_off(setup: Setup) -> None:
    events = [flight_found(), flight_found(), flight_found()]
    await setup.flights.insert("f1", Flight(), events=events)

    await setup.relay.flush()

    assert await setup.told() == [event.id for event in events]
    assert await setup.waits() == 0


async def test_a_flush_empties_more_outboxes_than_one_page(setup: Setup) -> None:
    for number in range(230):
        await setup.flights.insert(f"f{number}", Flight(), events=[flight_found()])

    await setup.relay.flush()

    assert (len(await setup.told()), await setup.waits()) == (230, 0)


async def test_a_writer_wakes_the_relay(setup: Setup) -> None:
    took_s: list[float] = []
    async with background(setup.relay.run()):
        await asyncio.sleep(0.1)
        for number in range(1, 6):  # by itself it looks a second after the one before; one may be held up
            started = time.monotonic()
            await setup.flights.insert(f"f{number}", Flight(), events=[flight_found()])
            while await setup.transport.depth(QUEUE) < number:
                await asyncio.sleep(0.01)
            took_s.append(time.monotonic() - started)

    assert min(took_s) < 0.5


async def test_the_relay_finds_what_nobody_woke_it_for(setup: Setup) -> None:
    silent = Collection(setup.store, FLIGHTS, Flight)
    async with background(setup.relay.run()), asyncio.timeout(30):
        await asyncio.sleep(0.1)
        await silent.insert("f1", Flight(), events=[flight_found()])
        while await setup.waits():
            await asyncio.sleep(0.05)

    assert len(await setup.told()) == 1


async def test_what_another_process_has_just_decided_on_holds_nothing_up_and_is_told_if_it_does_not(
    setup: Setup,
) -> None:
    """The clock of the other process is ahead: how long its events have waited has to be seen."""
    other = Collection(setup.store, FLIGHTS, Flight)
    soon = datetime.now(UTC) + timedelta(hours=1)
    for number in range(DOCUMENTS_AT_ONCE + 20):
        event = flight_found(f"f{number}").model_copy(update={"time": soon})
        await other.insert(f"f{number}", Flight(), events=[event])
    own = flight_found("own")
    await setup.flights.insert("own", Flight(), events=[own])

    async with background(setup.relay.run()), asyncio.timeout(60):
        while await setup.waits():
            await asyncio.sleep(0.05)

    told = await setup.told()
    assert told[0] == own.id
    assert len(set(told)) == len(told) == DOCUMENTS_AT_ONCE + 21


async def test_a_change_made_while_publishing_is_kept(setup: Setup) -> None:
    await setup.flights.insert("f1", Flight(), events=[flight_found()])
    second = flight_found()

    async def change() -> None:
        await setup.flights.update("f1", lambda body: Change(Flight(changes=body.changes + 1), [second]))

    await asyncio.gather(setup.relay.flush(), change())
    await setup.relay.flush()

    assert (await setup.flights.load("f1")).body.changes == 1
    assert (len(await setup.told()), await setup.waits()) == (2, 0)


async def test_an_event_for_nobody_is_kept_by_the_bus_and_crossed_off(setup: Setup) -> None:
    labels = {"type": "images-staged", "outcome": "unrouted"}
    before = REGISTRY.get_sample_value("flightline_events_published_total", labels) or 0
    data = ImagesStaged(flight_id="f1", version="v", prefix="s3://b/f", image_count=1, total_bytes=1)
    await setup.flights.insert("f1", Flight(), events=[new_event("t", data), flight_found()])

    await setup.relay.flush()

    assert (await setup.transport.depth(UNROUTED_QUEUE), len(await setup.told()), await setup.waits()) == (
        1,
        1,
        0,
    )
    assert REGISTRY.get_sample_value("flightline_events_published_total", labels) == before + 1


async def test_racing_relays_publish_everything_and_at_most_duplicates(setup: Setup) -> None:
    events = [flight_found(f"f{number}") for number in range(60)]
    for event in events:
        await setup.flights.insert(event.data.flight_id, Flight(), events=[event])
    other = OutboxRelay(setup.transport, setup.store, [FLIGHTS.name])

    await asyncio.gather(setup.relay.flush(), other.flush())

    assert set(await setup.told()) == {event.id for event in events}
    assert await setup.waits() == 0
