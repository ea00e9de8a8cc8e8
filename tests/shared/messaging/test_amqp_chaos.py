"""What happens to messages when the broker or a consumer is killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.errors import TransientError
from shared.events import Event, FlightFound
from shared.messaging.background import background
from shared.messaging.bus import Bus, open_bus
from shared.messaging.dead_letters import EVERYTHING, DeadLetters
from shared.messaging.port import DeadLetter, Death
from shared.messaging.relay import OutboxRelay
from tests.support.events import flight_found, one_queue
from tests.support.inboxed import FLIGHTS, Flight, Flights, count, found
from tests.support.rabbitmq import RabbitMQ
from tests.support.trouble import eventually, publish_many, told, work_queue


async def kill_under_load(bus: Bus, rabbitmq: RabbitMQ, flights: Flights, *, events: int, kills: int) -> None:
    async def kill() -> None:
        for _ in range(kills):
            await asyncio.sleep(0.7)
            await asyncio.to_thread(rabbitmq.restart)

    sent = [flight_found(f"f{number}") for number in range(events)]
    consumer = bus.consumer(prefetch=50)
    consumer.on(FlightFound, count, flights=flights)

    async def all_counted() -> bool:
        counts = await found(flights)
        return len(counts) == events and all(counts)

    async with consumer:
        await asyncio.gather(publish_many(bus, sent), kill())
        await eventually(all_counted)


async def test_nothing_is_lost_or_doubled_when_the_broker_is_killed(
    old_amqp_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    await kill_under_load(old_amqp_bus, rabbitmq, flights, events=2000, kills=1)

    assert set(await found(flights)) == {1}


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_nothing_is_lost_or_doubled_when_the_broker_is_killed_ten_times(
    old_amqp_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    await kill_under_load(old_amqp_bus, rabbitmq, flights, events=20_000, kills=10)

    assert set(await found(flights)) == {1}


async def test_an_ack_on_a_channel_that_is_gone_is_no_error(old_amqp_bus: Bus, rabbitmq: RabbitMQ) -> None:
    event = flight_found()
    async with old_amqp_bus.transport.consume(work_queue(old_amqp_bus), prefetch=1) as deliveries:
        await old_amqp_bus.publish(event)
        stale = await anext(deliveries)
        await asyncio.to_thread(rabbitmq.restart)
        async with asyncio.timeout(20):
            again = await anext(deliveries)
        await stale.ack()
        await again.ack()

    assert (stale.message.event_id, again.message.event_id) == (event.id, event.id)
    assert await old_amqp_bus.transport.depth(work_queue(old_amqp_bus)) == 0


async def test_a_handler_finishes_while_the_broker_dies_and_its_work_is_done_once(
    old_amqp_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    running, finished = asyncio.Event(), []

    async def slow(event: Event[FlightFound]) -> None:
        running.set()
        await asyncio.sleep(1.5)
        await count(event, flights=flights)
        finished.append(event.id)

    consumer = old_amqp_bus.consumer()
    consumer.on(FlightFound, slow)
    async with consumer:
        await old_amqp_bus.publish(flight_found())
        async with asyncio.timeout(30):
            await running.wait()
        await asyncio.to_thread(rabbitmq.restart)

        async def twice() -> bool:
            return len(finished) == 2

        await eventually(twice)

    assert await found(flights) == [1]


async def test_no_dead_letter_is_lost_when_the_broker_is_killed_during_a_replay(
    old_amqp_bus: Bus, rabbitmq: RabbitMQ
) -> None:
    transport, queue = old_amqp_bus.transport, work_queue(old_amqp_bus)
    events = [flight_found() for _ in range(40)]
    await publish_many(old_amqp_bus, events)
    async with transport.consume(queue, prefetch=50) as deliveries:
        for _ in events:
            await (await anext(deliveries)).bury(Death("bug", "KeyError: 'x'"))
    letters = DeadLetters(transport, old_amqp_bus.topology)
    killed: list[DeadLetter] = []

    def kill_on_the_way(letter: DeadLetter) -> None:
        if len(killed) == 10:
            rabbitmq.kill9()
        killed.append(letter)

    with pytest.raises(TransientError, match=r"^replayed \d+, and then: .*; the rest is still there$"):
        await letters.replay(EVERYTHING, per_second=1000, tell=kill_on_the_way)
    await asyncio.to_thread(rabbitmq.start)
    await eventually(lambda: replayed_all(letters))

    assert await told(old_amqp_bus, len(events)) == {event.id for event in events}


async def replayed_all(letters: DeadLetters) -> bool:
    try:
        await letters.replay(EVERYTHING, per_second=1000)
        return not [letter async for letter in letters.list()]
    except TransientError:
        return False


async def test_an_outbox_is_relayed_after_the_broker_was_away(
    old_amqp_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    events = [flight_found() for _ in range(20)]
    relay = OutboxRelay(old_amqp_bus.transport, flights.store, [FLIGHTS.name])
    async with background(relay.run()):
        rabbitmq.kill9()
        for event in events:
            await flights.insert(event.id, Flight(), events=[event])
        await asyncio.sleep(0.5)
        await asyncio.to_thread(rabbitmq.start)

        async def relayed() -> bool:
            return not await flights.store.pending(FLIGHTS.name)

        await eventually(relayed)

    assert await told(old_amqp_bus, 20) >= {event.id for event in events}


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

    async def all_counted() -> bool:
        counts = await found(flights)
        return len(counts) == events and all(counts)

    async with consumer:
        await eventually(all_counted)
    return await found(flights)


async def test_killed_consumers_lose_and_double_nothing_on_rabbitmq(
    amqp_bus: Bus, rabbitmq: RabbitMQ, flights: Flights, tmp_path: Path
) -> None:
    await kill_consumers(amqp_bus, rabbitmq.url, f"sqlite://{tmp_path}/state.db", events=800, kills=3)

    assert await finished(amqp_bus, flights, 800) == [1] * 800


async def test_killed_consumers_lose_and_double_nothing_on_sqlite(flights: Flights, tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/bus.db"
    async with open_bus(url, one_queue(), service="ingest") as bus:
        await kill_consumers(bus, url, f"sqlite://{tmp_path}/state.db", events=800, kills=3)

        assert await finished(bus, flights, 800) == [1] * 800


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_many_killed_consumers_lose_and_double_nothing(
    amqp_bus: Bus, rabbitmq: RabbitMQ, flights: Flights, tmp_path: Path
) -> None:
    await kill_consumers(amqp_bus, rabbitmq.url, f"sqlite://{tmp_path}/state.db", events=20_000, kills=15)

    assert await finished(amqp_bus, flights, 20_000) == [1] * 20_000
