"""What is said in passing on RabbitMQ: private queues that vanish with their listener, and no confirms."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog
from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.errors import PermanentError, TransientError
from shared.messaging.amqp_connection import FAILURES, Link, broker_errors, close_quietly
from shared.messaging.background import background
from shared.messaging.port import PROGRESS_EXCHANGE

log = structlog.get_logger(__name__)

WAITING_AT_MOST = 1000
"""What a listener or a broker is behind by more than that is dropped, the oldest first."""
RESTART_PAUSE_S = 0.5
OPEN_WITHIN_S = 10.0


class Teller:
    """Sends progress, while ``run`` runs; whoever tells never waits."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._unsent: deque[tuple[str, bytes]] = deque(maxlen=WAITING_AT_MOST)
        self._added = asyncio.Event()

    def tell(self, topic: str, body: bytes) -> None:
        """Send a message soon, or never."""
        self._unsent.append((topic, body))
        self._added.set()

    async def run(self) -> None:
        """Send what is told, until cancelled."""
        while True:
            try:
                await self._send_all()
            except (*FAILURES, TransientError, PermanentError) as error:
                log.debug("progress.lost", error=str(error))
                await asyncio.sleep(RESTART_PAUSE_S)

    async def _send_all(self) -> None:
        channel = await self._link.channel()
        try:
            while True:
                await self._added.wait()
                self._added.clear()
                while self._unsent:
                    async with broker_errors("tell progress"):
                        await _publish(channel, *self._unsent.popleft())
        finally:
            await close_quietly(channel)


class Listening:
    """The messages of some exchanges, copied into a queue of our own."""

    def __init__(self, link: Link, keys: Mapping[str, Sequence[str]]) -> None:
        self._link = link
        self._keys = keys
        self._waiting: deque[DeliveredMessage] = deque(maxlen=WAITING_AT_MOST)
        self._added = asyncio.Event()
        self._bound = asyncio.Event()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Listen for the length of the block, from its very beginning.

        Raises:
            TransientError: The broker cannot be reached.
        """
        async with background(self._run()):
            try:
                async with asyncio.timeout(OPEN_WITHIN_S):
                    await self._bound.wait()
            except TimeoutError as error:
                raise TransientError(f"RabbitMQ at {self._link.address} does not let us listen") from error
            yield

    def __aiter__(self) -> AsyncIterator[DeliveredMessage]:
        return self

    async def __anext__(self) -> DeliveredMessage:
        while not self._waiting:
            self._added.clear()
            await self._added.wait()
        return self._waiting.popleft()

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (*FAILURES, TransientError, PermanentError) as error:
                log.warning("listening.interrupted", error=str(error))
            await asyncio.sleep(RESTART_PAUSE_S)

    async def _listen(self) -> None:
        channel = await self._link.channel()
        ended = asyncio.Event()
        channel.closing.add_done_callback(lambda _: ended.set())
        channel.on_consumer_cancel_callbacks.add(lambda _: ended.set())
        try:
            async with broker_errors("listen"):
                await self._bind(channel)
            self._bound.set()
            await ended.wait()
        finally:
            await close_quietly(channel)

    async def _bind(self, channel: AbstractChannel) -> None:
        # Exclusive: RabbitMQ 4.3 refuses a queue that is neither durable nor exclusive.
        queue = (await channel.queue_declare("", exclusive=True, auto_delete=True)).queue or ""
        for exchange, keys in self._keys.items():
            for key in keys:
                await channel.queue_bind(queue, exchange, key)
        await channel.basic_consume(queue, self._receive, no_ack=True)

    async def _receive(self, delivered: DeliveredMessage) -> None:
        self._waiting.append(delivered)
        self._added.set()


async def _publish(channel: AbstractChannel, topic: str, body: bytes) -> None:
    await channel.basic_publish(
        body,
        exchange=PROGRESS_EXCHANGE,
        routing_key=topic,
        properties=spec.Basic.Properties(delivery_mode=1),
    )
