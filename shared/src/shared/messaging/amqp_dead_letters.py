"""The dead letters of one work queue on RabbitMQ: looked at without being moved, replayed, discarded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.errors import NotFoundError
from shared.messaging.amqp_connection import Link, broker_errors, channel_of
from shared.messaging.amqp_messages import dead_letter_of, letter_id, message_of
from shared.messaging.amqp_publisher import Publisher
from shared.messaging.port import DeadLetter
from shared.messaging.topology import dead_queue


async def browse(link: Link, queue: str) -> AsyncIterator[DeadLetter]:
    """Iterate over the dead letters of ``queue``, oldest first.

    They are held unacknowledged meanwhile, and go back in their order at the end, or when we die.
    """
    async with channel_of(link) as channel, aclosing(_held(channel, queue)) as letters:
        async for delivered in letters:
            yield dead_letter_of(queue, delivered)


async def replay(link: Link, publisher: Publisher, queue: str, wanted: str) -> None:
    """Put a dead letter back into ``queue``: confirmed first, then removed.

    Raises:
        NotFoundError: There is no such dead letter.
        TransientError: The outcome is unknown; it may now be in both places.
    """
    async with _found(link, queue, wanted) as delivered:
        await publisher.forward(message_of(delivered), queue, {})


async def discard(link: Link, queue: str, wanted: str) -> None:
    """Remove a dead letter for ever.

    Raises:
        NotFoundError: There is no such dead letter.
    """
    async with _found(link, queue, wanted):
        pass


@asynccontextmanager
async def _found(link: Link, queue: str, wanted: str) -> AsyncIterator[DeliveredMessage]:
    """Hold one dead letter, and remove it when the block succeeds."""
    async with channel_of(link) as channel, aclosing(_held(channel, queue)) as letters:
        async for delivered in letters:
            if letter_id(delivered) == wanted:
                yield delivered
                async with broker_errors(f"remove a dead letter of {queue}"):
                    await channel.basic_ack(delivered.delivery_tag or 0)
                return
        raise NotFoundError(f"{queue} has no dead letter {wanted}")


async def _held(channel: AbstractChannel, queue: str) -> AsyncGenerator[DeliveredMessage, None]:
    """Take letters one by one, and put back at the end all that were not acked.

    Closing the channel would put them back too, but some time after it, behind letters that came later.
    """
    taken = False
    try:
        while (delivered := await _get(channel, queue)) is not None:
            taken = True
            yield delivered
    finally:
        if taken and not channel.is_closed:
            async with broker_errors(f"put back the dead letters of {queue}"):
                await channel.basic_nack(0, multiple=True, requeue=True)


async def _get(channel: AbstractChannel, queue: str) -> DeliveredMessage | None:
    async with broker_errors(f"read the dead letters of {queue}"):
        delivered = await channel.basic_get(dead_queue(queue))
    return None if isinstance(delivered.delivery, spec.Basic.GetEmpty) else delivered
