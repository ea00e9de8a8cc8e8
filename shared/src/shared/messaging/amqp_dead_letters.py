"""The dead letters of one work queue on RabbitMQ: looked at without being moved, replayed, discarded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.messaging.amqp_connection import Link, broker_errors, channel_of
from shared.messaging.amqp_messages import dead_letter_of, death_headers
from shared.messaging.amqp_publisher import Publisher
from shared.messaging.port import UNROUTED_QUEUE, DeadLetter, UnroutableError
from shared.messaging.topology import dead_queue


class _Hand:
    """Letters taken out to be looked at, and put back in their order."""

    def __init__(self, channel: AbstractChannel, queue: str) -> None:
        self._channel = channel
        self._queue = queue
        self._held = 0
        self.taken = 0
        """How many letters were taken so far."""

    async def take(self) -> DeliveredMessage | None:
        """Return the next letter; None: there are no more."""
        async with broker_errors(f"read the dead letters of {self._queue}"):
            delivered = await self._channel.basic_get(dead_queue(self._queue))
        if isinstance(delivered.delivery, spec.Basic.GetEmpty):
            return None
        self._held += 1
        self.taken += 1
        return delivered

    async def remove(self, delivered: DeliveredMessage) -> None:
        """Remove one of the letters that were taken."""
        async with broker_errors(f"remove a dead letter of {self._queue}"):
            await self._channel.basic_ack(delivered.delivery_tag or 0)
        self._held -= 1

    async def put_back(self) -> None:
        """Put back what is held; a quorum queue appends it to what was put back before, so take all first."""
        if not self._held:
            return
        while await self.take():
            pass
        async with broker_errors(f"put back the dead letters of {self._queue}"):
            await self._channel.basic_nack(0, multiple=True, requeue=True)


async def browse(link: Link, queue: str) -> AsyncGenerator[DeadLetter, None]:
    """Iterate over the dead letters of ``queue``, oldest first.

    They are held unacknowledged meanwhile, and go back in their order at the end, or when we die.
    """
    async with _hand(link, queue) as hand:
        while delivered := await hand.take():
            yield dead_letter_of(queue, delivered)


async def replay_each(
    link: Link, publisher: Publisher, queue: str, wanted: Callable[[DeadLetter], bool]
) -> AsyncGenerator[DeadLetter, None]:
    """Put wanted dead letters back into ``queue``, each confirmed there before it is removed here.

    Raises:
        TransientError: The outcome is unknown; one may now be in both places.
    """
    async with _hand(link, queue) as hand:
        async for delivered, letter in _wanted(hand, queue, wanted):
            if await _is_put_back(publisher, letter):
                await hand.remove(delivered)
                yield letter


async def discard_each(
    link: Link, queue: str, wanted: Callable[[DeadLetter], bool]
) -> AsyncGenerator[DeadLetter, None]:
    """Remove wanted dead letters for ever."""
    async with _hand(link, queue) as hand:
        async for delivered, letter in _wanted(hand, queue, wanted):
            await hand.remove(delivered)
            yield letter


async def restore(publisher: Publisher, letter: DeadLetter) -> None:
    """Put a letter back among the dead letters of its queue."""
    headers = death_headers(letter.death, letter.died_at)
    await publisher.forward(letter.message, dead_queue(letter.queue), headers)


async def _is_put_back(publisher: Publisher, letter: DeadLetter) -> bool:
    """Put a letter into its queue, or where somebody wants by now what nobody wanted; False: nobody does."""
    if letter.queue != UNROUTED_QUEUE:
        await publisher.forward(letter.message, letter.queue, {})
        return True
    try:
        await publisher.route(letter.message)
    except UnroutableError:
        return False
    return True


@asynccontextmanager
async def _hand(link: Link, queue: str) -> AsyncIterator[_Hand]:
    async with channel_of(link) as channel:
        hand = _Hand(channel, queue)
        try:
            yield hand
        finally:
            if not channel.is_closed:
                await hand.put_back()


async def _wanted(
    hand: _Hand, queue: str, wanted: Callable[[DeadLetter], bool]
) -> AsyncGenerator[tuple[DeliveredMessage, DeadLetter], None]:
    """Yield what is wanted of what is there now: a letter that dies again meanwhile is not met again."""
    left = 1
    while left and (delivered := await hand.take()):
        if hand.taken == 1 and isinstance(delivered.delivery, spec.Basic.GetOk):
            left += delivered.delivery.message_count or 0
        left -= 1
        letter = dead_letter_of(queue, delivered)
        if wanted(letter):
            yield delivered, letter
