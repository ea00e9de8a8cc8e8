"""The bus on RabbitMQ, 3.10 and 4.x."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from shared.errors import PermanentError, TransientError
from shared.messaging import amqp_dead_letters
from shared.messaging.amqp_connection import Link, broker_errors, channel_of, is_refused_login
from shared.messaging.amqp_counts import counts
from shared.messaging.amqp_declaring import declare_on
from shared.messaging.amqp_deliveries import AmqpDeliveries
from shared.messaging.amqp_listening import Listening, Teller
from shared.messaging.amqp_messages import message_of
from shared.messaging.amqp_publisher import Publisher
from shared.messaging.background import background
from shared.messaging.port import (
    EXCHANGE,
    PROGRESS_EXCHANGE,
    START_WITHIN,
    DeadLetter,
    Deliveries,
    Message,
    QueueCounts,
    Topology,
    the_one,
)
from shared.messaging.topology import KEPT_EXCHANGE, declarations, subscription_declarations

log = structlog.get_logger(__name__)

OPEN_WITHIN_S = 10.0
"""How long entering ``consume`` waits for the broker; after that it comes when it comes."""


class AmqpTransport:
    """RabbitMQ by two connections, one to publish and one to consume. Build it with ``open_amqp``."""

    def __init__(self, publishing: Link, consuming: Link) -> None:
        self._publishing = publishing
        self._consuming = consuming
        self._publisher = Publisher(publishing)
        self.teller = Teller(publishing)
        self._topology = Topology(())
        self._sessions: list[AmqpDeliveries] = []

    async def declare(self, topology: Topology) -> None:
        """Declare all of ``topology``.

        Raises:
            PermanentError: The broker has something of the same name and another shape.
        """
        await declare_on(self._publishing, declarations(topology))
        self._topology = topology

    async def publish(self, message: Message) -> None:
        """Publish to the event exchange; on return the message is on disk in every bound queue.

        Raises:
            UnroutableError: No queue is bound to its routing key; it lies in ``flightline.unrouted``.
            TransientError: The outcome is unknown; publish again with the same ``event_id``.
        """
        await self._publisher.publish(message)

    @asynccontextmanager
    async def consume(self, queue: str, *, prefetch: int) -> AsyncIterator[Deliveries]:
        """Receive the messages of ``queue``, at most ``prefetch`` unsettled at a time."""
        await self.depth(queue)
        session = AmqpDeliveries(self._consuming, self._publisher, queue, prefetch, self._redeclare)
        self._sessions.append(session)
        try:
            async with background(session.run()):
                await session.wait_open(OPEN_WITHIN_S)
                yield session
        finally:
            self._sessions.remove(session)

    def is_consuming(self, queue: str) -> bool:
        """Return whether the broker would deliver messages of ``queue`` to us now."""
        return any(session.queue == queue and session.is_open for session in self._sessions)

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in ``queue``.

        Raises:
            PermanentError: There is no such queue.
        """
        async with channel_of(self._publishing) as channel, broker_errors(f"look at queue {queue}"):
            answer = await channel.queue_declare(queue, passive=True)
        return answer.message_count or 0

    def dead_letters(self, queue: str) -> AsyncGenerator[DeadLetter, None]:
        """Iterate over the dead letters of ``queue``, oldest first, without taking them away."""
        return amqp_dead_letters.browse(self._publishing, queue)

    async def counts(self, queue: str, ladder: Sequence[timedelta]) -> QueueCounts:
        """Return what lies in a work queue and beside it.

        Raises:
            PermanentError: There is no such queue.
        """
        return await counts(self._publishing, queue, ladder)

    async def replay(self, queue: str, letter_id: str) -> None:
        """Put a dead letter back into ``queue`` as a first attempt.

        Raises:
            NotFoundError: There is no such dead letter.
        """
        await the_one(self.replay_each(queue, lambda letter: letter.id == letter_id), queue, letter_id)

    async def discard(self, queue: str, letter_id: str) -> None:
        """Remove a dead letter for ever.

        Raises:
            NotFoundError: There is no such dead letter.
        """
        await the_one(self.discard_each(queue, lambda letter: letter.id == letter_id), queue, letter_id)

    def replay_each(
        self, queue: str, wanted: Callable[[DeadLetter], bool]
    ) -> AsyncGenerator[DeadLetter, None]:
        """Replay the wanted ones among the dead letters that are there now."""
        return amqp_dead_letters.replay_each(self._publishing, self._publisher, queue, wanted)

    def discard_each(
        self, queue: str, wanted: Callable[[DeadLetter], bool]
    ) -> AsyncGenerator[DeadLetter, None]:
        """Remove the wanted ones among the dead letters that are there now for ever."""
        return amqp_dead_letters.discard_each(self._publishing, queue, wanted)

    async def restore(self, letter: DeadLetter) -> None:
        """Put a letter that was removed back among the dead letters of its queue."""
        await amqp_dead_letters.restore(self._publisher, letter)

    async def tell(self, topic: str, body: bytes) -> None:
        """Send a progress message that nobody may hear."""
        self.teller.tell(topic, body)

    @asynccontextmanager
    async def hear(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Receive progress messages sent from now on."""
        listening = Listening(self._consuming, {PROGRESS_EXCHANGE: ("#",)})
        async with listening.opened():
            yield (delivered.body async for delivered in listening)

    @asynccontextmanager
    async def tail(self) -> AsyncIterator[AsyncIterator[Message]]:
        """Receive a copy of every event published from now on, without taking it from anybody.

        A binding to everything would make every event routable, and hide the ones that nobody handles.
        """
        handled = tuple({each.event_type for each in self._topology.subscriptions})
        listening = Listening(self._consuming, {EXCHANGE: handled, KEPT_EXCHANGE: ("",)})
        async with listening.opened():
            yield (message_of(delivered) async for delivered in listening)

    async def ping(self) -> None:
        """Return if the broker answers."""
        async with channel_of(self._publishing):
            pass

    async def _redeclare(self, queue: str) -> None:
        """Declare one work queue again, in case that somebody deleted it."""
        for each in self._topology.subscriptions:
            if each.queue == queue:
                await declare_on(self._consuming, subscription_declarations(each, self._topology))


@asynccontextmanager
async def open_amqp(url: str, *, start_within: timedelta = START_WITHIN) -> AsyncIterator[AmqpTransport]:
    """Connect to RabbitMQ, waiting for it where necessary.

    Raises:
        PermanentError: It refuses user or password.
        TransientError: It cannot be reached within ``start_within``.
    """
    publishing, consuming = Link(url, "flightline publish"), Link(url, "flightline consume")
    transport = AmqpTransport(publishing, consuming)
    async with background(publishing.run(), consuming.run()):
        await _wait_for(publishing, start_within)
        async with background(transport.teller.run()):
            yield transport


async def _wait_for(link: Link, start_within: timedelta) -> None:
    until = asyncio.get_running_loop().time() + start_within.total_seconds()
    while True:
        try:
            await link.connection(within_s=min(1.0, start_within.total_seconds()))
        except TransientError as error:
            if is_refused_login(link.refusal):
                raise PermanentError(f"RabbitMQ at {link.address} refused user or password") from error
            if asyncio.get_running_loop().time() > until:
                raise
            log.info("rabbitmq.awaited", address=link.address)
        else:
            return
