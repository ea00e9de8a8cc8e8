from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import aio_pika
import pytest

from shared.events import FlightFound
from shared.messaging.bus import Bus, open_bus, open_transport
from shared.messaging.port import EXCHANGE
from tests.support.events import one_queue
from tests.support.inboxed import Flights, open_flights
from tests.support.rabbitmq import RabbitMQ, session_rabbitmq
from tests.support.trouble import work_queue

BROKER_FORGETS_FOR_S = 3.5
"""RabbitMQ 3.10 writes a new quorum queue's name to disk up to three seconds late; killed before, it forgets
the queue's log, and the queue never gets a leader again. So these tests kill it for older queues only."""
TESTS_THAT_KILL = 7


@pytest.fixture(scope="session")
def rabbitmq(pytestconfig: pytest.Config) -> RabbitMQ:
    return session_rabbitmq(pytestconfig)


@pytest.fixture(scope="session")
def old_services(rabbitmq: RabbitMQ) -> Iterator[str]:
    """Return names of services whose queues are old enough to survive."""
    services = [f"ingest-{uuid4().hex[:8]}" for _ in range(TESTS_THAT_KILL)]

    async def declare() -> None:
        for service in services:
            async with open_transport(rabbitmq.url) as transport:
                await transport.declare(one_queue(service))
        await asyncio.sleep(BROKER_FORGETS_FOR_S)

    asyncio.run(declare())
    return iter(services)


@pytest.fixture
async def amqp_bus(rabbitmq: RabbitMQ) -> AsyncIterator[Bus]:
    """Return a bus in the name of a service that no other test uses."""
    async with opened(rabbitmq, f"ingest-{uuid4().hex[:8]}") as bus:
        yield bus


@pytest.fixture
async def old_amqp_bus(rabbitmq: RabbitMQ, old_services: Iterator[str]) -> AsyncIterator[Bus]:
    """Return a bus for a test that kills the broker."""
    async with opened(rabbitmq, next(old_services)) as bus:
        yield bus


@asynccontextmanager
async def opened(rabbitmq: RabbitMQ, service: str) -> AsyncIterator[Bus]:
    async with open_bus(rabbitmq.url, one_queue(service), service=service) as bus:
        async with await aio_pika.connect(rabbitmq.url) as connection, connection.channel() as channel:
            await (await channel.get_queue(work_queue(bus))).purge()
        yield bus
    async with await aio_pika.connect(rabbitmq.url) as connection, connection.channel() as channel:
        queue = await channel.get_queue(work_queue(bus), ensure=False)
        await queue.unbind(EXCHANGE, FlightFound.type)


@pytest.fixture
async def flights(tmp_path: Path) -> AsyncIterator[Flights]:
    async with open_flights(f"sqlite://{tmp_path}/state.db") as flights:
        yield flights
