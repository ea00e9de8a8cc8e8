"""What every transport promises, said once and held by both."""

from __future__ import annotations

import asyncio
import time

import pytest

from shared.errors import PermanentError
from shared.messaging.port import (
    UNROUTED_QUEUE,
    Message,
    UnroutableError,
)
from tests.support.transports import RUNG, World, becomes, nothing, soon


async def test_a_published_message_arrives_as_it_was(world: World) -> None:
    sent = world.message(b'{"x": "\xc3\xa9"}')

    await world.transport.publish(sent)

    async with world.consume() as deliveries:
        delivery = await soon(deliveries)
        assert delivery.message == sent
        assert delivery.attempt == 1


async def test_messages_arrive_in_order(world: World) -> None:
    await world.publish(b"1", b"2", b"3")

    async with world.consume() as deliveries:
        assert [(await soon(deliveries)).message.body for _ in range(3)] == [b"1", b"2", b"3"]


async def test_every_subscriber_gets_its_own_copy(world: World) -> None:
    await world.publish(b"1")

    for subscription in world.topology.subscriptions:
        async with world.transport.consume(subscription.queue, prefetch=1) as deliveries:
            assert (await soon(deliveries)).message.body == b"1"


async def test_consumers_of_one_queue_share_its_messages(world: World) -> None:
    async with world.consume(prefetch=1) as one, world.consume(prefetch=1) as two:
        await world.publish(b"1", b"2")
        bodies = {(await soon(one)).message.body, (await soon(two)).message.body}

    assert bodies == {b"1", b"2"}


async def test_an_acked_message_never_comes_again(world: World) -> None:
    await world.publish(b"1")
    async with world.consume() as deliveries:
        await (await soon(deliveries)).ack()

    async with world.consume() as deliveries:
        assert await nothing(deliveries)


async def test_what_is_unsettled_when_a_consumer_leaves_comes_again_uncounted(world: World) -> None:
    await world.publish(b"1")
    async with world.consume() as deliveries:
        await soon(deliveries)

    async with world.consume() as deliveries:
        assert (await soon(deliveries)).attempt == 1


async def test_a_requeued_message_comes_again_uncounted(world: World) -> None:
    await world.publish(b"1")

    async with world.consume() as deliveries:
        await (await soon(deliveries)).requeue()
        again = await soon(deliveries)
        assert (again.message.body, again.attempt) == (b"1", 1)


async def test_a_retried_message_comes_after_its_delay_as_the_next_attempt(world: World) -> None:
    await world.transport.publish(world.message())

    async with world.consume() as deliveries:
        first = await soon(deliveries)
        started = time.monotonic()
        await first.retry(RUNG)
        again = await soon(deliveries)
        assert RUNG.total_seconds() * 0.9 < time.monotonic() - started < 8
        assert (again.message, again.attempt) == (world.message(), 2)


async def test_a_waiting_retry_lets_others_pass(world: World) -> None:
    await world.publish(b"1", b"2")

    async with world.consume(prefetch=1) as deliveries:
        await (await soon(deliveries)).retry(2 * RUNG)
        second = await soon(deliveries)
        assert second.message.body == b"2"
        await second.retry(RUNG)
        assert (await soon(deliveries)).message.body == b"2"


async def test_no_more_than_the_prefetch_is_unsettled(world: World) -> None:
    await world.publish(b"1", b"2", b"3")

    async with world.consume(prefetch=2) as deliveries:
        first = await soon(deliveries)
        await soon(deliveries)
        assert await nothing(deliveries)
        await first.ack()
        assert (await soon(deliveries)).message.body == b"3"


async def test_after_stop_the_rest_goes_back_and_what_is_in_hand_can_be_acked(world: World) -> None:
    await world.publish(b"1", b"2", b"3")

    async with world.consume() as deliveries:
        first = await soon(deliveries)
        await deliveries.stop()
        assert await becomes(2, lambda: world.transport.depth(world.work.queue))
        await first.ack()

    async with world.consume() as again:
        assert [(await soon(again)).message.body for _ in range(2)] == [b"2", b"3"]


async def test_a_stopped_consumer_ends(world: World) -> None:
    async with world.consume() as deliveries:
        await deliveries.stop()

        assert [delivery async for delivery in deliveries] == []


async def test_whoever_consumes_is_known_to(world: World) -> None:
    async with world.consume():
        inside = world.transport.is_consuming(world.work.queue)

    assert (inside, world.transport.is_consuming(world.work.queue)) == (True, False)


async def test_depth_counts_what_waits(world: World) -> None:
    await world.publish(b"1", b"2")

    assert await becomes(2, lambda: world.transport.depth(world.work.queue))


async def test_a_message_for_nobody_is_refused_and_kept(world: World) -> None:
    before = await world.transport.depth(UNROUTED_QUEUE)

    with pytest.raises(UnroutableError, match="unheard-of"):
        await world.transport.publish(Message(b"{}", "unheard-of", "e1"))

    assert await becomes(before + 1, lambda: world.transport.depth(UNROUTED_QUEUE))


async def test_a_queue_that_nobody_declared_cannot_be_consumed(world: World) -> None:
    with pytest.raises(PermanentError, match=r"no-such\.queue"):
        async with world.transport.consume("no-such.queue", prefetch=1):
            pass


async def test_declaring_twice_changes_nothing(world: World) -> None:
    await world.publish(b"1")

    await world.transport.declare(world.topology)

    async with world.consume() as deliveries:
        assert (await soon(deliveries)).message.body == b"1"


async def test_what_lies_in_a_queue_and_beside_it_is_counted(world: World) -> None:
    await world.bury(b"dead")
    await world.publish(b"held", b"ready")
    async with world.consume(prefetch=1) as deliveries:
        await soon(deliveries)
        counts = await world.transport.counts(world.work.queue, world.topology.ladder)

    assert (counts.ready, counts.dead, counts.retrying) == (1, 1, 0)
    assert counts.in_hand in (1, None)
    assert counts.consumers in (1, None)
    assert await world.transport.depth(f"{world.work.queue}.dead") == 1


async def test_what_waits_for_its_next_attempt_is_counted(world: World) -> None:
    await world.publish(b"tried")
    async with world.consume() as deliveries:
        await (await soon(deliveries)).retry(2 * RUNG)

        async def retrying() -> int:
            return (await world.transport.counts(world.work.queue, world.topology.ladder)).retrying

        assert await becomes(1, retrying, within_s=2 * RUNG.total_seconds())


async def test_a_queue_that_nobody_declared_cannot_be_counted(world: World) -> None:
    with pytest.raises(PermanentError, match="no-such"):
        await world.transport.counts("no-such.queue", world.topology.ladder)


async def test_progress_is_heard_by_every_listener(world: World) -> None:
    async with world.transport.hear() as one, world.transport.hear() as two:
        await world.transport.tell("ingest.stage", b"half")

        async with asyncio.timeout(30):
            assert (await anext(one), await anext(two)) == (b"half", b"half")


async def test_progress_that_nobody_hears_is_forgotten(world: World) -> None:
    await world.transport.tell("ingest.stage", b"early")
    await asyncio.sleep(0.5)

    async with world.transport.hear() as heard:
        await world.transport.tell("ingest.stage", b"late")
        async with asyncio.timeout(30):
            assert await anext(heard) == b"late"


async def test_a_follower_sees_events_without_taking_them(world: World) -> None:
    async with world.transport.tail() as followed:
        await world.transport.publish(world.message(b"1"))
        async with asyncio.timeout(30):
            assert await anext(followed) == world.message(b"1")

    assert await becomes(1, lambda: world.transport.depth(world.work.queue))


async def test_a_follower_sees_what_nobody_handles_and_does_not_hide_it(world: World) -> None:
    unrouted = Message(b"{}", f"unheard-{world.work.event_type}", "e2")

    async with world.transport.tail() as followed:
        with pytest.raises(UnroutableError):
            await world.transport.publish(unrouted)
        async with asyncio.timeout(30):
            assert await anext(followed) == unrouted


async def test_a_broker_that_is_there_answers(world: World) -> None:
    await world.transport.ping()
