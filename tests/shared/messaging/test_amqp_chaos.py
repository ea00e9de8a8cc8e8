"""What happens to messages when the broker, its queues or a consumer die."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import aio_pika
import pytest

from shared.errors import NotFoundError, TransientError
from shared.events import Event, FlightFound
from shared.messaging.background import background
from shared.messaging.bus import Bus, open_bus, open_transport
from shared.messaging.port import EXCHANGE, UNROUTED_QUEUE, Message, UnroutableError
from shared.messaging.relay import OutboxRelay
from shared.messaging.topology import DELIVERY_LIMIT, retry_queue
from tests.support.events import SHORT_LADDER, flight_found, one_queue
from tests.support.inboxed import FLIGHTS, Flight, Flights, count, found, open_flights
from tests.support.rabbitmq import RabbitMQ

BROKER_FORGETS_FOR_S = 3.5
"""RabbitMQ 3.10 writes a new quorum queue's name to disk up to three seconds late; killed before, it forgets
the queue's log, and the queue never gets a leader again. So these tests kill it for older queues only."""
TESTS_THAT_KILL = 6


@pytest.fixture(scope="module")
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
async def bus(rabbitmq: RabbitMQ) -> AsyncIterator[Bus]:
    """Return a bus in the name of a service that no other test uses."""
    async with opened(rabbitmq, f"ingest-{uuid4().hex[:8]}") as bus:
        yield bus


@pytest.fixture
async def old_bus(rabbitmq: RabbitMQ, old_services: Iterator[str]) -> AsyncIterator[Bus]:
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


def work_queue(bus: Bus) -> str:
    return bus.topology.subscriptions[0].queue


async def eventually(true: Callable[[], Awaitable[bool]], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not await true():  # noqa: ASYNC110 - it happens in a broker
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


async def kill_under_load(bus: Bus, rabbitmq: RabbitMQ, flights: Flights, *, events: int, kills: int) -> None:
    async def kill() -> None:
        for _ in range(kills):
            await asyncio.sleep(0.7)
            await asyncio.to_thread(rabbitmq.restart)

    sent = [flight_found(f"f{number}") for number in range(events)]
    consumer = bus.consumer(prefetch=50)
    consumer.on(FlightFound, count, flights=flights)

    async def all_found() -> bool:
        return len(await found(flights)) == events

    async with consumer:
        await asyncio.gather(publish_many(bus, sent), kill())
        await eventually(all_found)


async def test_nothing_is_lost_or_doubled_when_the_broker_is_killed(
    old_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    await kill_under_load(old_bus, rabbitmq, flights, events=2000, kills=1)

    assert set(await found(flights)) == {1}


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_nothing_is_lost_or_doubled_when_the_broker_is_killed_ten_times(
    old_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    await kill_under_load(old_bus, rabbitmq, flights, events=20_000, kills=10)

    assert set(await found(flights)) == {1}


async def test_publishing_to_a_frozen_broker_ends_in_time_and_goes_on_after(
    bus: Bus, rabbitmq: RabbitMQ
) -> None:
    await bus.publish(flight_found())
    rabbitmq.freeze()
    started = time.monotonic()
    try:
        with pytest.raises(TransientError, match="unknown"):
            await bus.publish(flight_found())
    finally:
        rabbitmq.thaw()

    assert time.monotonic() - started < 10
    await publish_surely(bus, flight_found())


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_consumer_survives_a_long_freeze(bus: Bus, rabbitmq: RabbitMQ, flights: Flights) -> None:
    consumer = bus.consumer()
    consumer.on(FlightFound, count, flights=flights)
    async with consumer:
        rabbitmq.freeze()
        await asyncio.sleep(45)
        noticed = not consumer.is_consuming
        rabbitmq.thaw()
        await publish_surely(bus, flight_found())

        async def handled() -> bool:
            return await found(flights) == [1]

        await eventually(handled)
    assert noticed


async def test_a_consumer_comes_back_when_its_queue_was_deleted(
    bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    consumer = bus.consumer()
    consumer.on(FlightFound, count, flights=flights)
    async with consumer:
        async with await aio_pika.connect(rabbitmq.url) as connection, connection.channel() as channel:
            await channel.queue_delete(work_queue(bus))

        async def handled() -> bool:
            await publish_or_not(bus)
            return bool(await found(flights))

        await eventually(handled, within_s=5)
        assert consumer.is_consuming


async def publish_or_not(bus: Bus) -> None:
    try:
        await bus.publish(flight_found())
    except UnroutableError:
        await asyncio.sleep(0.1)


async def test_an_ack_on_a_channel_that_is_gone_is_no_error(old_bus: Bus, rabbitmq: RabbitMQ) -> None:
    event = flight_found()
    async with old_bus.transport.consume(work_queue(old_bus), prefetch=1) as deliveries:
        await old_bus.publish(event)
        stale = await anext(deliveries)
        await asyncio.to_thread(rabbitmq.restart)
        async with asyncio.timeout(20):
            again = await anext(deliveries)
        await stale.ack()
        await again.ack()

    assert (stale.message.event_id, again.message.event_id) == (event.id, event.id)
    assert await old_bus.transport.depth(work_queue(old_bus)) == 0


async def test_an_ack_of_a_tag_that_was_acked_restarts_the_consumer(bus: Bus) -> None:
    async with bus.transport.consume(work_queue(bus), prefetch=1) as deliveries:
        await bus.publish(flight_found())
        delivery = await anext(deliveries)
        await delivery.ack()
        await delivery.ack()
        await bus.publish(flight_found())
        async with asyncio.timeout(5):
            again = await anext(deliveries)
            assert again.attempt == 1


async def test_every_one_of_fifty_concurrent_unroutable_messages_is_reported(bus: Bus) -> None:
    before = await bus.transport.depth(UNROUTED_QUEUE)
    lost = [Message(b"{}", f"unheard-{bus.service}", "the same id") for _ in range(50)]

    outcomes = await asyncio.gather(*map(bus.transport.publish, lost), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {UnroutableError}

    async def kept() -> bool:
        return await bus.transport.depth(UNROUTED_QUEUE) == before + 50

    await eventually(kept)


async def test_what_an_outsider_publishes_for_nobody_is_kept(bus: Bus, rabbitmq: RabbitMQ) -> None:
    before = await bus.transport.depth(UNROUTED_QUEUE)
    async with await aio_pika.connect(rabbitmq.url) as connection, connection.channel() as channel:
        exchange = await channel.get_exchange(EXCHANGE)
        await exchange.publish(aio_pika.Message(b"{}"), f"unheard-{bus.service}", mandatory=False)

    async def kept() -> bool:
        return await bus.transport.depth(UNROUTED_QUEUE) == before + 1

    await eventually(kept)


async def test_a_handler_finishes_while_the_broker_dies_and_its_work_is_done_once(
    old_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    running, finished = asyncio.Event(), []

    async def slow(event: Event[FlightFound]) -> None:
        running.set()
        await asyncio.sleep(1.5)
        await count(event, flights=flights)
        finished.append(event.id)

    consumer = old_bus.consumer()
    consumer.on(FlightFound, slow)
    async with consumer:
        await old_bus.publish(flight_found())
        async with asyncio.timeout(5):
            await running.wait()
        await asyncio.to_thread(rabbitmq.restart)

        async def twice() -> bool:
            return len(finished) == 2

        await eventually(twice)

    assert await found(flights) == [1]


async def test_a_poison_message_is_tried_so_often_and_its_neighbours_once(bus: Bus) -> None:
    attempts: dict[str, int] = {}
    healed = False

    async def handle(event: Event[FlightFound]) -> None:
        flight_id = event.data.flight_id
        attempts[flight_id] = attempts.get(flight_id, 0) + 1
        if flight_id == "poison" and not healed:
            raise TransientError("still poisonous")

    consumer = bus.consumer()
    consumer.on(FlightFound, handle)
    for flight_id in ("before", "poison", "after"):
        await bus.publish(flight_found(flight_id))

    async with consumer:
        letters = await dead_letters(bus)
        assert attempts == {"before": 1, "poison": len(SHORT_LADDER) + 1, "after": 1}
        healed = True
        await bus.transport.replay(work_queue(bus), letters[0])

        async def handled() -> bool:
            return attempts["poison"] == len(SHORT_LADDER) + 2

        await eventually(handled)
    assert [letter async for letter in bus.transport.dead_letters(work_queue(bus))] == []


async def dead_letters(bus: Bus, within_s: float = 10) -> list[str]:
    """Wait for dead letters and return their ids."""
    ids: list[str] = []

    async def died() -> bool:
        ids.extend([letter.id async for letter in bus.transport.dead_letters(work_queue(bus))])
        return bool(ids)

    await eventually(died, within_s)
    return ids


async def test_a_message_that_cannot_be_forwarded_is_not_acked(bus: Bus, rabbitmq: RabbitMQ) -> None:
    tried = 0

    async def fail_once(_: Event[FlightFound]) -> None:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise TransientError("busy")

    async with await aio_pika.connect(rabbitmq.url) as connection, connection.channel() as channel:
        await channel.queue_delete(retry_queue(work_queue(bus), SHORT_LADDER[0]))
    await bus.publish(flight_found())
    consumer = bus.consumer()
    consumer.on(FlightFound, fail_once)

    async def tried_again() -> bool:
        return tried == 2

    async with consumer:
        await eventually(tried_again, within_s=10)

    assert await bus.transport.depth(work_queue(bus)) == 0


async def test_a_message_that_is_never_settled_is_buried_with_that_reason(bus: Bus) -> None:
    event = flight_found()
    await bus.publish(event)
    async with bus.transport.consume(work_queue(bus), prefetch=1) as deliveries, asyncio.timeout(20):
        for _ in range(DELIVERY_LIMIT + 1):
            await (await anext(deliveries)).requeue()

    await dead_letters(bus)
    [letter] = [letter async for letter in bus.transport.dead_letters(work_queue(bus))]
    assert letter.death.reason == "delivery_limit"
    assert (letter.message.event_id, letter.message.routing_key) == (event.id, "flight-found")


async def test_an_outbox_is_relayed_after_the_broker_was_away(
    old_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    events = [flight_found() for _ in range(20)]
    relay = OutboxRelay(old_bus.transport, flights.store, [FLIGHTS.name])
    async with background(relay.run()):
        rabbitmq.kill9()
        for event in events:
            await flights.insert(event.id, Flight(), events=[event])
        await asyncio.sleep(0.5)
        await asyncio.to_thread(rabbitmq.start)

        async def relayed() -> bool:
            return not await flights.store.pending(FLIGHTS.name)

        await eventually(relayed)

    assert await told(old_bus, 20) >= {event.id for event in events}


async def told(bus: Bus, at_least: int) -> set[str]:
    ids: set[str] = set()
    async with (
        bus.transport.consume(work_queue(bus), prefetch=100) as deliveries,
        asyncio.timeout(10),
    ):
        while len(ids) < at_least:
            ids.add((await anext(deliveries)).message.event_id)
    return ids


async def test_a_letter_that_is_not_there_is_not_found_while_others_are_looked_at(bus: Bus) -> None:
    with pytest.raises(NotFoundError):
        await bus.transport.replay(work_queue(bus), "4711")


def kill_after(command: list[str], seconds: float) -> None:
    """Start a consumer process, and kill it when it has consumed for some time."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            while process.stdout.readline() not in ("consuming\n", ""):
                pass
            time.sleep(seconds)
        finally:
            process.kill()


async def kill_consumers(bus: Bus, url: str, state_url: str, *, events: int, kills: int) -> None:
    """Publish while consumer processes are killed one after the other."""
    command = [sys.executable, "-m", "tests.support.inboxed", url, bus.service, state_url]
    sent = [flight_found(f"f{number}") for number in range(events)]

    async def kill() -> None:
        for _ in range(kills):
            await asyncio.to_thread(kill_after, command, 0.25)

    await asyncio.gather(publish_many(bus, sent, publishers=2), kill())


async def finished(bus: Bus, flights: Flights, events: int) -> list[int]:
    """Handle what is left, and return how often each flight was found."""
    consumer = bus.consumer(prefetch=50)
    consumer.on(FlightFound, count, flights=flights)

    async def all_found() -> bool:
        return len(await found(flights)) == events

    async with consumer:
        await eventually(all_found)
    return await found(flights)


async def test_killed_consumers_lose_and_double_nothing_on_rabbitmq(
    bus: Bus, rabbitmq: RabbitMQ, flights: Flights, tmp_path: Path
) -> None:
    await kill_consumers(bus, rabbitmq.url, f"sqlite://{tmp_path}/state.db", events=800, kills=3)

    assert await finished(bus, flights, 800) == [1] * 800


async def test_killed_consumers_lose_and_double_nothing_on_sqlite(flights: Flights, tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/bus.db"
    async with open_bus(url, one_queue(), service="ingest") as bus:
        await kill_consumers(bus, url, f"sqlite://{tmp_path}/state.db", events=800, kills=3)

        assert await finished(bus, flights, 800) == [1] * 800


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_many_killed_consumers_lose_and_double_nothing(
    bus: Bus, rabbitmq: RabbitMQ, flights: Flights, tmp_path: Path
) -> None:
    await kill_consumers(bus, rabbitmq.url, f"sqlite://{tmp_path}/state.db", events=20_000, kills=15)

    assert await finished(bus, flights, 20_000) == [1] * 20_000
