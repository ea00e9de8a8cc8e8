"""The dead letters of one work queue on RabbitMQ: looked at without being moved, replayed, discarded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.errors import NotFoundError
from shared.messaging.amqp_connection import Link, broker_errors, channel_of
from shared.messaging.amqp_messages import dead_letter_of, letter_id, message_of
from shared.messaging.amqp_publisher import Publisher
from shared.messaging.port import DeadLetter
from shared.messaging.topology import dead_queue


class _Hand:
    """Letters taken out to be looked at, and put back in their order."""

    def __init__(self, channel: AbstractChannel, queue: str) -> None:
        self._channel = channel
        self._queue = queue
        self._held = 0

    async def take(self) -> DeliveredMessage | None:
        """Return the next letter; None: there are no more."""
        async with broker_errors(f"read the dead letters of {self._queue}"):
            delivered = await self._channel.basic_get(dead_queue(self._queue))
        if isinstance(delivered.delivery, spec.Basic.GetEmpty):
            return None
        self._held += 1
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


async def replay(link: Link, publisher: Publisher, queue: str, wanted: str) -> None:
    """Put a dead letter back into ``queue``: confirmed first, then removed.

    Raises:
        NotFoundError: There is no such dead letter.
        TransientError: The outcome is unknown; it may now be in both places.
    """
    async with _hand(link, queue) as hand:
        delivered = await _find(hand, queue, wanted)
        await publisher.forward(message_of(delivered), queue, {})
        await hand.remove(delivered)


async def discard(link: Link, queue: str, wanted: str) -> None:
    """Remove a dead letter for ever.

    Raises:
        NotFoundError: There is no such dead letter.
    """
    async with _hand(link, queue) as hand:
        await hand.remove(await _find(hand, queue, wanted))


@asynccontextmanager
async def _hand(link: Link, queue: str) -> AsyncIterator[_Hand]:
    async with channel_of(link) as channel:
        hand = _Hand(channel, queue)
        try:
            yield hand
        finally:
            if not channel.is_closed:
                await hand.put_back()


async def _find(hand: _Hand, queue: str, wanted: str) -> DeliveredMessage:
    while delivered := await hand.take():
        if letter_id(delivered) == wanted:
            return delivered
    raise NotFoundError(f"{queue} has no dead letter {wanted}")
