"""What happens to messages when the broker hangs, queues vanish, and nobody can handle them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aio_pika
import pytest

from shared.errors import NotFoundError, TransientError
from shared.events import Event, FlightFound
from shared.messaging.amqp_deliveries import PROBE_EVERY_S
from shared.messaging.bus import Bus
from shared.messaging.port import EXCHANGE, UNROUTED_QUEUE, Message, UnroutableError
from shared.messaging.topology import DELIVERY_LIMIT, retry_queue
from tests.support.events import SHORT_LADDER, flight_found
from tests.support.inboxed import Flights, count, found
from tests.support.rabbitmq import RabbitMQ
from tests.support.trouble import dead_letters, eventually, publish_surely, work_queue


async def test_publishing_to_a_frozen_broker_ends_in_time_and_goes_on_after(
    amqp_bus: Bus, rabbitmq: RabbitMQ
) -> None:
    await amqp_bus.publish(flight_found())
    rabbitmq.freeze()
    started = time.monotonic()
    try:
        with pytest.raises(TransientError, match="unknown"):
            await amqp_bus.publish(flight_found())
    finally:
        rabbitmq.thaw()

    assert time.monotonic() - started < 10
    await publish_surely(amqp_bus, flight_found())


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_consumer_survives_a_long_freeze(amqp_bus: Bus, rabbitmq: RabbitMQ, flights: Flights) -> None:
    consumer = amqp_bus.consumer()
    consumer.on(FlightFound, count, flights=flights)
    async with consumer:
        rabbitmq.freeze()
        await asyncio.sleep(45)
        noticed = not consumer.is_consuming
        rabbitmq.thaw()
        await publish_surely(amqp_bus, flight_found())

        async def handled() -> bool:
            return await found(flights) == [1]

        await eventually(handled)
    assert noticed


async def test_a_consumer_comes_back_when_its_queue_was_deleted(
    amqp_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    consumer = amqp_bus.consumer()
    consumer.on(FlightFound, count, flights=flights)
    async with consumer:
        async with await aio_pika.connect(rabbitmq.url) as connection, connection.channel() as channel:
            await channel.queue_delete(work_queue(amqp_bus))

        async def handled() -> bool:
            await publish_or_not(amqp_bus)
            return bool(await found(flights))

        await eventually(handled, within_s=30)
        assert consumer.is_consuming


async def publish_or_not(bus: Bus) -> None:
    try:
        await bus.publish(flight_found())
    except UnroutableError:
        await asyncio.sleep(0.1)


async def test_an_ack_of_a_tag_that_was_acked_restarts_the_consumer(amqp_bus: Bus) -> None:
    async with amqp_bus.transport.consume(work_queue(amqp_bus), prefetch=1) as deliveries:
        await amqp_bus.publish(flight_found())
        delivery = await anext(deliveries)
        await delivery.ack()
        await delivery.ack()
        await amqp_bus.publish(flight_found())
        async with asyncio.timeout(30):
            again = await anext(deliveries)
            assert again.attempt == 1


async def test_every_one_of_fifty_concurrent_unroutable_messages_is_reported(amqp_bus: Bus) -> None:
    before = await amqp_bus.transport.depth(UNROUTED_QUEUE)
    lost = [Message(b"{}", f"unheard-{amqp_bus.service}", "the same id") for _ in range(50)]

    outcomes = await asyncio.gather(*map(amqp_bus.transport.publish, lost), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {UnroutableError}

    async def kept() -> bool:
        return await amqp_bus.transport.depth(UNROUTED_QUEUE) == before + 50

    await eventually(kept)


async def test_what_an_outsider_publishes_for_nobody_is_kept(amqp_bus: Bus, rabbitmq: RabbitMQ) -> None:
    before = await amqp_bus.transport.depth(UNROUTED_QUEUE)
    async with await aio_pika.connect(rabbitmq.url) as connection, connection.channel() as channel:
        exchange = await channel.get_exchange(EXCHANGE)
        await exchange.publish(aio_pika.Message(b"{}"), f"unheard-{amqp_bus.service}", mandatory=False)

    async def kept() -> bool:
        return await amqp_bus.transport.depth(UNROUTED_QUEUE) == before + 1

    await eventually(kept)


async def test_a_poison_message_is_tried_so_often_and_its_neighbours_once(amqp_bus: Bus) -> None:
    attempts: dict[str, int] = {}
    healed = False

    async def handle(event: Event[FlightFound]) -> None:
        flight_id = event.data.flight_id
        attempts[flight_id] = attempts.get(flight_id, 0) + 1
        if flight_id == "poison" and not healed:
            raise TransientError("still poisonous")

    consumer = amqp_bus.consumer()
    consumer.on(FlightFound, handle)
    for flight_id in ("before", "poison", "after"):
        await amqp_bus.publish(flight_found(flight_id))

    async with consumer:
        letters = await dead_letters(amqp_bus)
        assert attempts == {"before": 1, "poison": len(SHORT_LADDER) + 1, "after": 1}
        healed = True
        await amqp_bus.transport.replay(work_queue(amqp_bus), letters[0])

        async def handled() -> bool:
            return attempts["poison"] == len(SHORT_LADDER) + 2

        await eventually(handled)
    assert [letter async for letter in amqp_bus.transport.dead_letters(work_queue(amqp_bus))] == []


async def test_a_message_that_cannot_be_forwarded_is_not_acked(amqp_bus: Bus, rabbitmq: RabbitMQ) -> None:
    tried = 0

    async def fail_once(_: Event[FlightFound]) -> None:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise TransientError("busy")

    async with await aio_pika.connect(rabbitmq.url) as connection, connection.channel() as channel:
        await channel.queue_delete(retry_queue(work_queue(amqp_bus), SHORT_LADDER[0]))
    await amqp_bus.publish(flight_found())
    consumer = amqp_bus.consumer()
    consumer.on(FlightFound, fail_once)

    async def tried_again() -> bool:
        return tried == 2

    async with consumer:
        await eventually(tried_again, within_s=30)

    assert await amqp_bus.transport.depth(work_queue(amqp_bus)) == 0


async def test_a_message_that_is_never_settled_is_buried_with_that_reason(amqp_bus: Bus) -> None:
    event = flight_found()
    await amqp_bus.publish(event)
    async with (
        amqp_bus.transport.consume(work_queue(amqp_bus), prefetch=1) as deliveries,
        asyncio.timeout(20),
    ):
        for _ in range(DELIVERY_LIMIT + 1):
            await (await anext(deliveries)).requeue()

    await dead_letters(amqp_bus)
    [letter] = [letter async for letter in amqp_bus.transport.dead_letters(work_queue(amqp_bus))]
    assert letter.death.reason == "delivery_limit"
    assert (letter.message.event_id, letter.message.routing_key) == (event.id, "flight-found")


async def test_a_letter_that_is_not_there_is_not_found_while_others_are_looked_at(amqp_bus: Bus) -> None:
    with pytest.raises(NotFoundError):
        await amqp_bus.transport.replay(work_queue(amqp_bus), "4711")


@pytest.mark.long
async def test_a_consumer_that_the_broker_forgot_without_a_word_is_restarted(
    amqp_bus: Bus, flights: Flights
) -> None:
    consumer = amqp_bus.consumer()
    consumer.on(FlightFound, count, flights=flights)
    async with consumer:
        [session] = amqp_bus.transport._sessions  # type: ignore[attr-defined]
        await session._channel.basic_cancel(session._tag)
        await amqp_bus.publish(flight_found())

        async def handled() -> bool:
            return await found(flights) == [1]

        await eventually(handled, within_s=PROBE_EVERY_S + 3)


async def publish_from_outside(rabbitmq: RabbitMQ, message: aio_pika.Message) -> None:
    async with await aio_pika.connect(rabbitmq.url) as connection, connection.channel() as channel:
        exchange = await channel.get_exchange(EXCHANGE)
        await exchange.publish(message, FlightFound.type)


async def test_an_outsiders_event_in_binary_mode_is_handled(
    amqp_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    event = flight_found()
    headers: dict[str, Any] = {
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-source": event.source,
        "ce-type": event.type,
        "ce-time": event.time,
    }
    body = event.data.model_dump_json().encode()
    consumer = amqp_bus.consumer()
    consumer.on(FlightFound, count, flights=flights)
    async with consumer:
        await publish_from_outside(
            rabbitmq, aio_pika.Message(body, headers=headers, content_type="application/json")
        )

        async def handled() -> bool:
            return await found(flights) == [1]

        await eventually(handled)


async def test_an_outsiders_nonsense_in_our_headers_stops_nobody(
    amqp_bus: Bus, rabbitmq: RabbitMQ, flights: Flights
) -> None:
    headers: dict[str, Any] = {"x-death": "x", "flightline-attempt": "many", "flightline-event-id": 7}
    consumer = amqp_bus.consumer(prefetch=1)
    consumer.on(FlightFound, count, flights=flights)
    async with consumer:
        await publish_from_outside(rabbitmq, aio_pika.Message(b"\xff", headers=headers))
        await amqp_bus.publish(flight_found())
        await dead_letters(amqp_bus)

        async def handled() -> bool:
            return await found(flights) == [1]

        await eventually(handled)
