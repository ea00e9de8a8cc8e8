"""What every transport promises, said once and held by both."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import aio_pika
import pytest

from shared.errors import NotFoundError, PermanentError
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
    UnroutableError,
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


async def test_a_buried_message_keeps_its_bytes_and_says_why(world: World) -> None:
    death = Death("permanent", "PermanentError: no such flight", "line 1\nline 2", 3)
    await world.transport.publish(world.message(b"\x00 not json"))

    async with world.consume() as deliveries:
        await (await soon(deliveries)).bury(death)

    [letter] = await world.dead()
    assert (letter.message, letter.death) == (world.message(b"\x00 not json"), death)
    assert letter.queue == world.work.queue
    assert letter.died_at is not None


async def test_dead_letters_stay_in_order_however_often_they_are_looked_at(world: World) -> None:
    await world.bury(b"1", b"2", b"3")

    looks = [[letter.message.body for letter in await world.dead()] for _ in range(3)]

    assert looks == [[b"1", b"2", b"3"]] * 3


async def test_dead_letters_survive_a_look_that_is_broken_off(world: World) -> None:
    await world.bury(b"1", b"2")

    async with aclosing(world.transport.dead_letters(world.work.queue)) as letters:
        await anext(letters)

    assert [letter.message.body for letter in await world.dead()] == [b"1", b"2"]


async def test_a_replayed_letter_is_a_first_attempt_of_the_same_event(world: World) -> None:
    await world.bury(b"1", b"2")
    first, second = await world.dead()

    await world.transport.replay(world.work.queue, first.id)

    async with world.consume() as deliveries:
        again = await soon(deliveries)
        assert (again.message, again.attempt) == (first.message, 1)
    assert await world.dead() == [second]


async def test_a_discarded_letter_is_gone_alone(world: World) -> None:
    await world.bury(b"1", b"2", b"3")
    first, second, third = await world.dead()

    await world.transport.discard(world.work.queue, second.id)

    assert await world.dead() == [first, third]


@pytest.mark.parametrize("doing", ["replay", "discard"])
async def test_a_letter_that_is_not_there_is_not_found(world: World, doing: str) -> None:
    await world.bury(b"1")

    with pytest.raises(NotFoundError, match="4711"):
        await getattr(world.transport, doing)(world.work.queue, "4711")

    assert len(await world.dead()) == 1


async def test_wanted_letters_are_replayed_in_one_pass(world: World) -> None:
    await world.bury(b"1", b"2", b"3", b"4")

    async with aclosing(
        world.transport.replay_each(world.work.queue, lambda letter: letter.message.body != b"2")
    ) as replayed:
        done = [letter.message.body async for letter in replayed]

    assert done == [b"1", b"3", b"4"]
    assert [letter.message.body for letter in await world.dead()] == [b"2"]
    assert await becomes(3, lambda: world.transport.depth(world.work.queue))


async def test_a_letter_that_dies_again_is_not_replayed_twice(world: World) -> None:
    await world.bury(b"1", b"2")
    died: list[bytes] = []

    async with world.consume() as deliveries:
        replayed = world.transport.replay_each(world.work.queue, lambda letter: bool(letter.id))
        async with aclosing(replayed) as letters:
            async for _ in letters:
                again = await soon(deliveries)
                await again.bury(Death("bug", "KeyError: again"))
                died.append(again.message.body)

    assert died == [b"1", b"2"]
    assert len(await world.dead()) == 2


async def test_wanted_letters_are_discarded_in_one_pass(world: World) -> None:
    await world.bury(b"1", b"2", b"3")

    async with aclosing(
        world.transport.discard_each(world.work.queue, lambda letter: letter.message.body != b"2")
    ) as discarded:
        async for _ in discarded:
            break

    assert [letter.message.body for letter in await world.dead()] == [b"2", b"3"]


async def test_a_letter_that_was_removed_can_be_put_back_as_it_was(world: World) -> None:
    await world.bury(b"1")
    [letter] = await world.dead()
    await world.transport.discard(world.work.queue, letter.id)

    await world.transport.restore(letter)

    [restored] = await world.dead()
    assert (restored.message, restored.death) == (letter.message, letter.death)
    assert restored.died_at == letter.died_at


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
