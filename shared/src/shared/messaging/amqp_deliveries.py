"""Taking messages out of RabbitMQ: a consumer that comes back, and deliveries that know their channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Self

import structlog
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.errors import PermanentError, TransientError
from shared.messaging.amqp_connection import FAILURES, Link, broker_errors, channel_of, close_quietly
from shared.messaging.amqp_messages import ATTEMPT, attempt_of, death_headers, message_of
from shared.messaging.amqp_publisher import Publisher
from shared.messaging.port import Death, Delivery, Message
from shared.messaging.topology import dead_queue, retry_queue

log = structlog.get_logger(__name__)

PROBE_EVERY_S = 10.0
"""How soon a consumer that the broker forgot without a word is noticed."""
RESTART_PAUSE_S = 0.5


class AmqpDelivery:
    """One message in our hands, to be settled on the channel that it came by and on no other."""

    def __init__(
        self, delivered: DeliveredMessage, channel: AbstractChannel, queue: str, publisher: Publisher
    ) -> None:
        self.message: Message = message_of(delivered)
        self.attempt: int = attempt_of(delivered)
        self.channel = channel
        self._queue = queue
        self._publisher = publisher
        self._tag = delivered.delivery_tag or 0

    async def ack(self) -> None:
        """Say that the message was handled."""
        await self._settle(self.channel.basic_ack(self._tag, wait=False), "acked")

    async def requeue(self) -> None:
        """Hand the message back untouched."""
        await self._settle(self.channel.basic_nack(self._tag, requeue=True, wait=False), "requeued")

    async def retry(self, delay: timedelta) -> None:
        """Make the message come again, as the next attempt, after ``delay``."""
        await self._publisher.forward(
            self.message, retry_queue(self._queue, delay), {ATTEMPT: self.attempt + 1}
        )
        await self.ack()

    async def bury(self, death: Death) -> None:
        """Move the message to the dead letters."""
        await self._publisher.forward(self.message, dead_queue(self._queue), death_headers(death))
        await self.ack()

    async def _settle(self, sending: Awaitable[None], how: str) -> None:
        try:
            await sending
        except FAILURES as error:
            # The broker gives the message to somebody again; what was done for it is remembered in an inbox.
            log.warning(
                "delivery.stale",
                queue=self._queue,
                settled=how,
                event_id=self.message.event_id,
                error=repr(error),
            )


class AmqpDeliveries:
    """The messages of one queue that come to one consumer, while ``run`` runs."""

    def __init__(
        self,
        link: Link,
        publisher: Publisher,
        queue: str,
        prefetch: int,
        redeclare: Callable[[str], Awaitable[None]],
    ) -> None:
        self.queue = queue
        self._link = link
        self._publisher = publisher
        self._prefetch = prefetch
        self._redeclare = redeclare
        self._waiting: asyncio.Queue[AmqpDelivery | None] = asyncio.Queue()
        self._channel: AbstractChannel | None = None
        self._tag = ""
        self._stopping = False
        self._consuming = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Return whether the broker would deliver to us now."""
        return self._consuming.is_set() and self._channel is not None and not self._channel.is_closed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        delivery = await self._waiting.get()
        if delivery is None:
            self._waiting.put_nowait(None)
            raise StopAsyncIteration
        return delivery

    async def wait_open(self, within_s: float) -> None:
        """Wait until the broker delivers to us, but no longer than ``within_s``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._consuming.wait()

    async def run(self) -> None:
        """Consume, again and again, until cancelled."""
        while not self._stopping:
            try:
                await self._consume()
            except (*FAILURES, TransientError) as error:
                log.warning("consumer.interrupted", queue=self.queue, error=str(error))
            except PermanentError as error:
                log.error("consumer.refused", queue=self.queue, error=str(error))  # noqa: TRY400 - says it all
            await asyncio.sleep(RESTART_PAUSE_S)
            with suppress(TransientError, PermanentError):
                await self._redeclare(self.queue)

    async def stop(self) -> None:
        """Receive no more and hand back what was not yet iterated over."""
        self._stopping = True
        self._consuming.clear()
        if self._channel is not None:
            with suppress(TransientError, PermanentError):
                async with broker_errors(f"stop consuming {self.queue}"):
                    await self._channel.basic_cancel(self._tag)
        for delivery in self._take_waiting():
            await delivery.requeue()
        self._waiting.put_nowait(None)

    async def _consume(self) -> None:
        """Open a channel and consume by it until that ends, for whatever reason."""
        channel = await self._link.channel()
        ended = asyncio.Event()
        channel.closing.add_done_callback(lambda _: ended.set())
        channel.on_consumer_cancel_callbacks.add(lambda _: ended.set())
        try:
            await self._start(channel)
            await self._watch(ended)
        finally:
            self._consuming.clear()
            self._channel = None
            if not self._stopping:
                self._take_waiting()
            await close_quietly(channel)

    async def _start(self, channel: AbstractChannel) -> None:
        async def receive(delivered: DeliveredMessage) -> None:
            self._waiting.put_nowait(AmqpDelivery(delivered, channel, self.queue, self._publisher))

        async with broker_errors(f"consume {self.queue}"):
            await channel.basic_qos(prefetch_count=self._prefetch)
            self._channel = channel
            answer = await channel.basic_consume(self.queue, receive)
        self._tag = answer.consumer_tag or ""
        self._consuming.set()
        log.info("consumer.started", queue=self.queue, prefetch=self._prefetch)

    async def _watch(self, ended: asyncio.Event) -> None:
        """Return when the channel or the consumer is gone, be it without the broker's telling us."""
        while True:
            try:
                async with asyncio.timeout(PROBE_EVERY_S):
                    await ended.wait()
                log.warning("consumer.ended", queue=self.queue)
                return  # noqa: TRY300 - an else would belong to the timeout
            except TimeoutError:
                if not self._stopping and await self._is_forgotten():
                    log.warning("consumer.forgotten", queue=self.queue)
                    return

    async def _is_forgotten(self) -> bool:
        async with channel_of(self._link) as channel, broker_errors(f"look at {self.queue}"):
            answer = await channel.queue_declare(self.queue, passive=True)
            return answer.consumer_count == 0

    def _take_waiting(self) -> list[AmqpDelivery]:
        """Remove what nobody has looked at; after its channel closed the broker delivers it again."""
        taken = []
        while not self._waiting.empty():
            if delivery := self._waiting.get_nowait():
                taken.append(delivery)
        return taken
