"""However long a broker was away, what waits in outboxes is told soon after it is back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared.errors import TransientError
from shared.messaging.background import background
from shared.messaging.bus import open_transport
from shared.messaging.port import Message
from shared.messaging.relay import OutboxRelay
from shared.state import Collection, CollectionSpec
from shared.state.open import open_store
from tests.support.events import flight_found, one_queue

FLIGHTS = CollectionSpec("flights")
AWAY_FOR = 5
"""Attempts; pauses that double would make half a minute of them."""


class Flight(BaseModel):
    changes: int = 0


@dataclass
class ComesBack:
    """A transport whose broker cannot be reached for a while."""

    transport: Any
    failures_left: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    async def publish(self, message: Message) -> None:
        if self.failures_left:
            self.failures_left -= 1
            raise TransientError("the broker cannot be reached")
        await self.transport.publish(message)


async def test_pauses_do_not_grow_while_the_broker_is_away(tmp_path: Path) -> None:
    async with (
        open_transport(f"sqlite://{tmp_path}/bus.db") as transport,
        open_store(f"sqlite://{tmp_path}/state.db") as store,
    ):
        await transport.declare(one_queue())
        await store.declare(FLIGHTS)
        relay = OutboxRelay(ComesBack(transport, AWAY_FOR), store, [FLIGHTS.name])
        flights = Collection(store, FLIGHTS, Flight, wake=relay.wake)
        await flights.insert("f1", Flight(), events=[flight_found()])

        async with (
            background(relay.run()),
            transport.consume(one_queue().subscriptions[0].queue, prefetch=1) as deliveries,
            asyncio.timeout(25),
        ):
            delivery = await anext(aiter(deliveries))
    assert delivery.message.routing_key == "flight-found"
