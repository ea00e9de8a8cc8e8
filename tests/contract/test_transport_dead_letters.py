"""What every transport promises of dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

import pytest

from shared.errors import NotFoundError
from shared.messaging.bus import open_transport
from shared.messaging.dead_letters import DeadLetters, Selection, read_letters
from shared.messaging.port import (
    UNROUTED_QUEUE,
    Death,
    Message,
    Subscription,
    Topology,
    UnroutableError,
)
from tests.support.rabbitmq import session_rabbitmq
from tests.support.transports import World, becomes, nothing, soon

UNROUTED = Selection(UNROUTED_QUEUE)


@pytest.fixture
async def own(request: pytest.FixtureRequest, url: str) -> AsyncIterator[World]:
    """Return a broker, or a part of one, to which nobody else publishes what nobody wants."""
    if url.startswith("amqp"):
        vhost = f"own-{uuid4().hex[:8]}"
        broker = session_rabbitmq(request.config)
        broker.add_vhost(vhost)
        url = f"{broker.url}{vhost}"
    topology = Topology((Subscription("one", "made"),))
    async with open_transport(url) as transport:
        await transport.declare(topology)
        yield World(url, topology, transport)


def letters_of(world: World) -> DeadLetters:
    return DeadLetters(world.transport, world.topology)


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


async def test_what_nobody_wanted_is_looked_at_and_goes_to_whoever_wants_it_later(own: World) -> None:
    wanted = Message(b"\x00", "found-later", "e1", {"ce-colour": "red"})
    other = Message(b"{}", "never-found", "e2")
    for message in (wanted, other):
        with pytest.raises(UnroutableError):
            await own.transport.publish(message)

    too_early = await letters_of(own).replay(UNROUTED, per_second=1000)
    looked_at = [letter async for letter in letters_of(own).list(UNROUTED)]
    await own.transport.declare(Topology((Subscription("late", "found-later"),)))
    replayed = await letters_of(own).replay(UNROUTED, per_second=1000)

    assert [(each.message, each.death.reason) for each in looked_at] == [
        (wanted, "unrouted"),
        (other, "unrouted"),
    ]
    assert (too_early, replayed) == (0, 1)
    assert [letter.message async for letter in letters_of(own).list(UNROUTED)] == [other]
    async with own.transport.consume("late.found-later", prefetch=2) as deliveries:
        delivery = await soon(deliveries)
        assert (delivery.message, delivery.attempt) == (wanted, 1)
        assert await nothing(deliveries)


async def test_one_that_nobody_wants_stays_until_it_is_discarded(own: World, tmp_path: Path) -> None:
    with pytest.raises(UnroutableError):
        await own.transport.publish(Message(b"{}", "never-found", "e2"))
    [letter] = [letter async for letter in letters_of(own).list(UNROUTED)]
    chosen = Selection(UNROUTED_QUEUE, letter.id)

    with pytest.raises(UnroutableError, match="nobody listens to never-found"):
        await letters_of(own).replay(chosen)
    discarded = await letters_of(own).discard(chosen, export=tmp_path / "letters.jsonl")
    left = [letter async for letter in letters_of(own).list(UNROUTED)]
    restored = await letters_of(own).restore(read_letters(tmp_path / "letters.jsonl"))

    assert (discarded, left, restored) == (1, [], 1)
    assert await becomes(1, lambda: own.transport.depth(UNROUTED_QUEUE))
    assert [each async for each in letters_of(own).list()] == []
