"""A broker of either kind, and names on it that nobody else uses, for what every transport promises."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import aio_pika
import pytest

from shared.messaging.bus import open_transport
from shared.messaging.port import (
    UNROUTED_QUEUE,
    DeadLetter,
    Death,
    Deliveries,
    Delivery,
    Message,
    Subscription,
    Topology,
    Transport,
)
from shared.messaging.topology import declarations
from tests.support.rabbitmq import session_rabbitmq

RUNG = timedelta(seconds=0.3)
SERVERS = ["sqlite", "rabbitmq", *(["other"] if "FLIGHTLINE_TEST_AMQP" in os.environ else [])]


@dataclass(frozen=True)
class World:
    """A broker, and names on it that nobody else uses."""

    url: str
    topology: Topology
    transport: Transport

    @property
    def work(self) -> Subscription:
        return self.topology.subscriptions[0]

    @property
    def other(self) -> Subscription:
        return self.topology.subscriptions[1]

    def message(self, body: bytes = b"{}", event_id: str = "e1") -> Message:
        return Message(body, self.work.event_type, event_id, {"ce-colour": "red"})

    async def publish(self, *bodies: bytes) -> None:
        for body in bodies:
            await self.transport.publish(self.message(body, body.decode()))

    def consume(self, prefetch: int = 10) -> AbstractAsyncContextManager[Deliveries]:
        return self.transport.consume(self.work.queue, prefetch=prefetch)

    async def dead(self) -> list[DeadLetter]:
        return [letter async for letter in self.transport.dead_letters(self.work.queue)]

    async def bury(self, *bodies: bytes) -> None:
        await self.publish(*bodies)
        async with self.consume() as deliveries:
            for _ in bodies:
                await (await soon(deliveries)).bury(Death("permanent", "PermanentError: no"))


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/bus.db"
    if request.param == "other":
        return os.environ["FLIGHTLINE_TEST_AMQP"]
    return session_rabbitmq(request.config).url


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    mark = uuid4().hex[:8]
    kind = f"made-{mark}"
    services = (Subscription(f"one-{mark}", kind), Subscription(f"two-{mark}", kind))
    topology = Topology(services, (RUNG, 2 * RUNG))
    async with open_transport(url) as transport:
        await transport.declare(topology)
        yield World(url, topology, transport)
    if url.startswith("amqp"):
        await delete_queues(url, topology)


async def delete_queues(url: str, topology: Topology) -> None:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        for queue in declarations(topology).queues:
            if queue.name != UNROUTED_QUEUE:
                await channel.queue_delete(queue.name)


async def soon(deliveries: Deliveries, within_s: float = 30) -> Delivery:
    async with asyncio.timeout(within_s):
        return await anext(deliveries)


async def nothing(deliveries: Deliveries, for_s: float = 0.3) -> bool:
    try:
        await soon(deliveries, for_s)
    except TimeoutError:
        return True
    return False


async def becomes(wanted: int, count: Callable[[], Awaitable[int]], within_s: float = 30) -> bool:
    deadline = time.monotonic() + within_s
    while await count() != wanted:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
