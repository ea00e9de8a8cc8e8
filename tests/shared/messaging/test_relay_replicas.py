"""Replicas of one service tell the events of one store: each once, as long as all of them live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import BaseModel

from shared.messaging.background import background
from shared.messaging.bus import open_transport
from shared.messaging.port import Transport
from shared.messaging.relay import OutboxRelay
from shared.state import Change, Collection, CollectionSpec
from shared.state.open import open_store
from tests.support.events import flight_found, one_queue
from tests.support.mongo import mongo_server, new_database
from tests.support.rabbitmq import RabbitMQ

FLIGHTS = CollectionSpec("flights")
EACH = 75
AT_ONCE = 15


class Flight(BaseModel):
    changes: int = 0


@pytest.fixture(params=["sqlite", "mongodb"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/state.db"
    else:
        (tmp_path / "mongo").mkdir()
        with mongo_server(tmp_path / "mongo") as url:
            yield new_database(url)


@asynccontextmanager
async def replica(state_url: str, bus_url: str) -> AsyncIterator[Collection[Flight]]:
    """Run the outbox of one replica, and return what it writes with."""
    async with open_store(state_url) as store, open_transport(bus_url) as transport:
        await store.declare(FLIGHTS)
        relay = OutboxRelay(transport, store, [FLIGHTS.name])
        async with background(relay.run()):
            yield Collection(store, FLIGHTS, Flight, wake=relay.wake)


async def write(flights: Collection[Flight], name: str, number: int) -> list[str]:
    """Make a document that tells one event, then another; return their ids."""
    first, second = (flight_found(f"{name}{number}") for _ in range(2))
    await flights.insert(f"{name}{number}", Flight(), events=[first])
    await flights.update(f"{name}{number}", lambda body: Change(Flight(changes=body.changes + 1), [second]))
    return [first.id, second.id]


async def write_all(flights: Collection[Flight], name: str) -> list[list[str]]:
    written: list[list[str]] = []
    for start in range(0, EACH, AT_ONCE):
        numbers = range(start, start + AT_ONCE)
        written += await asyncio.gather(*(write(flights, name, number) for number in numbers))
    return written


async def told(transport: Transport, queue: str, wanted: int) -> list[str]:
    """Return the ids of all events in the queue, in their order, once so many different ones were there."""
    ids: list[str] = []
    async with transport.consume(queue, prefetch=1000) as deliveries, asyncio.timeout(60):
        while len(set(ids)) < wanted or await transport.depth(queue):
            delivery = await anext(deliveries)
            ids.append(delivery.message.event_id)
            await delivery.ack()
    return ids


async def test_two_replicas_under_load_tell_each_event_once(state_url: str, rabbitmq: RabbitMQ) -> None:
    topology = one_queue(f"ingest-{uuid4().hex[:8]}")
    [subscription] = topology.subscriptions
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(open_transport(rabbitmq.url))
        await transport.declare(topology)
        replicas = [await stack.enter_async_context(replica(state_url, rabbitmq.url)) for _ in range(2)]
        written = await asyncio.gather(
            *(write_all(each, name) for each, name in zip(replicas, "ab", strict=True))
        )
        pairs = [pair for each in written for pair in each]
        ids = await told(transport, subscription.queue, 2 * len(pairs))
    assert set(ids) == {each for pair in pairs for each in pair}
    assert [pair for pair in pairs if ids.index(pair[0]) > ids.index(pair[1])] == []
    assert len(ids) - len(set(ids)) < 0.2 * len(set(ids)), "some, where one was held up: not three in four"
