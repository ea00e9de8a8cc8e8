"""How much waits, in queues and in outboxes, is told without asking the broker at each scrape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel

from shared.errors import NotFoundError
from shared.events import Event, FlightFound
from shared.messaging.background import background
from shared.messaging.bus import Bus, open_bus
from shared.messaging.depths import note_depths
from shared.messaging.port import Message, UnroutableError
from shared.messaging.relay import OutboxRelay
from shared.messaging.topology import dead_queue
from shared.state import Collection, CollectionSpec
from shared.state.open import open_store
from tests.shared.messaging.conftest import opened
from tests.support.events import flight_found, one_queue
from tests.support.rabbitmq import session_rabbitmq
from tests.support.trouble import eventually, work_queue
from tests.support.until import until

KITES = CollectionSpec("kites")


class Kite(BaseModel):
    pass


@pytest.fixture(params=["sqlite", "amqp"])
async def bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    service = f"depths-{uuid4().hex[:8]}"
    if request.param == "sqlite":
        async with open_bus(f"sqlite://{tmp_path}/bus.db", one_queue(service), service=service) as bus:
            yield bus
        return
    async with opened(session_rabbitmq(request.config), service) as bus:
        yield bus


def depths(bus: Bus) -> tuple[float | None, float | None]:
    labels = {"service": bus.service, "queue": work_queue(bus)}
    waiting = REGISTRY.get_sample_value("flightline_queue_messages", labels)
    return waiting, REGISTRY.get_sample_value("flightline_dead_letters", labels)


async def test_messages_and_dead_letters_are_told_apart(bus: Bus) -> None:
    async def refuse(_: Event[FlightFound]) -> None:
        raise NotFoundError("no")

    async def is_buried() -> bool:
        return await bus.transport.depth(dead_queue(work_queue(bus))) == 1

    await bus.publish(flight_found("f1"))
    consumer = bus.consumer()
    consumer.on(FlightFound, refuse)
    async with consumer:
        await eventually(is_buried)
    for name in ("f2", "f3"):
        await bus.publish(flight_found(name))

    async with background(note_depths(bus)):
        await until(lambda: depths(bus) == (2, 1))


async def test_what_nobody_listens_to_is_told(tmp_path: Path) -> None:
    async with open_bus(f"sqlite://{tmp_path}/bus.db", one_queue(), service="ingest") as bus:
        with pytest.raises(UnroutableError):
            await bus.transport.publish(Message(b"{}", "never-found"))

        async with background(note_depths(bus)):
            await until(lambda: REGISTRY.get_sample_value("flightline_unrouted_messages") == 1)


async def test_the_age_of_what_waits_in_an_outbox_is_told_until_it_is_gone(tmp_path: Path) -> None:
    labels = {"collection": KITES.name}
    old = flight_found().model_copy(update={"time": datetime.now(UTC) - timedelta(hours=1)})
    async with (
        open_bus(f"sqlite://{tmp_path}/bus.db", one_queue(), service="ingest") as bus,
        open_store(f"sqlite://{tmp_path}/state.db") as store,
    ):
        await store.declare(KITES)
        await Collection(store, KITES, Kite).insert("anna", Kite(), events=[old])
        relay = OutboxRelay(bus.transport, store, [KITES.name])
        await relay.flush()
        seen_s = REGISTRY.get_sample_value("flightline_outbox_oldest_age_seconds", labels)
        await relay.flush()

    assert seen_s is not None
    assert 3600 <= seen_s < 4000
    assert REGISTRY.get_sample_value("flightline_outbox_oldest_age_seconds", labels) == 0
