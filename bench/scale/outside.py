"""An outside system on the broker: it announces flights until each is confirmed, and an auditor hears all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage

from bench.scale.flight_set import Flight
from bench.scale.ledger import Ledger
from shared.events import EVENT_TYPES
from shared.messaging.port import EXCHANGE

AUDIT_QUEUE = "bench.audit"
PREFETCH = 500
RECONNECT_EVERY_S = 0.1
CONFIRM_WITHIN_S = 10.0
PUBLISHERS = 50
HEARD_WITHIN_S = 1.0
"""What is delivered, and no longer counted among what waits, is heard by then."""
CONTENT_TYPE = "application/cloudevents+json"


@dataclass(slots=True)
class Outside:
    """Knows nothing of Flightline but its exchange and its events, and uses the bare client library."""

    url: str
    ledger: Ledger
    on_completed: Callable[[str], None]
    again: int = 0
    """Announcements that were sent once more, because no confirm came."""
    _exchange: asyncio.Future[AbstractExchange] = field(init=False)
    _channel: AbstractChannel | None = None
    _bound: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Begin without a connection."""
        self._exchange = asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Listen in, whatever becomes of the broker, until the block ends."""
        running = asyncio.create_task(self._run())
        try:
            await asyncio.wait_for(self._bound.wait(), 60)
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def announce(self, flights: Iterator[Flight], open_at_most: asyncio.Semaphore) -> None:
        """Publish flights until each is confirmed, as many at a time as may be open."""

        async def some() -> None:
            for flight in flights:
                await open_at_most.acquire()
                self.again += await self._publish(flight.event.type, flight.event.to_bytes())
                self.ledger.confirm(flight)

        await asyncio.gather(*(some() for _ in range(PUBLISHERS)))

    async def depths(self, queues: list[str]) -> dict[str, int]:
        """Return how many messages wait in each queue; none while the broker is away."""
        with suppress(Exception):
            assert self._channel is not None
            found = [await self._channel.declare_queue(name, passive=True) for name in queues]
            return {queue.name: queue.declaration_result.message_count or 0 for queue in found}
        return {}

    async def drained(self, within_s: float) -> None:
        """Wait until the auditor has heard all that lies in its queue, or for so long."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            if (await self.depths([AUDIT_QUEUE])).get(AUDIT_QUEUE) == 0:
                break
            await asyncio.sleep(RECONNECT_EVERY_S)
        await asyncio.sleep(HEARD_WITHIN_S)

    async def retell(self) -> None:
        """Tell the last event of each type once more: every service handles one, and nothing may follow."""
        every = list(self.ledger.last.items())
        for _, body in every:
            self.ledger.retell(body)
        await asyncio.gather(*(self._publish(event_type, body) for event_type, body in every))

    async def _publish(self, event_type: str, body: bytes) -> int:
        """Publish until there is a confirm; return how often there was none."""
        message = aio_pika.Message(
            body, content_type=CONTENT_TYPE, delivery_mode=aio_pika.DeliveryMode.PERSISTENT
        )
        for failures in count():
            exchange = await asyncio.shield(self._exchange)
            sending = asyncio.ensure_future(exchange.publish(message, event_type))
            await asyncio.wait([sending], timeout=CONFIRM_WITHIN_S)
            if sending.done() and not sending.cancelled() and sending.exception() is None:
                return failures
            sending.cancel()  # the library cancels it, or fails, when the connection dies
            await asyncio.sleep(RECONNECT_EVERY_S)
        raise AssertionError

    async def _run(self) -> None:
        while True:
            with suppress(Exception):
                await self._listen()
            if self._exchange.done():
                self._exchange = asyncio.get_running_loop().create_future()
            await asyncio.sleep(RECONNECT_EVERY_S)

    async def _listen(self) -> None:
        connection = await aio_pika.connect(self.url, timeout=5)
        lost = asyncio.Event()
        connection.close_callbacks.add(lambda *_: lost.set())
        try:
            self._channel = await connection.channel()
            self._exchange.set_result(await self._channel.get_exchange(EXCHANGE, ensure=False))
            listening = await connection.channel()
            await listening.set_qos(PREFETCH)
            queue = await listening.declare_queue(
                AUDIT_QUEUE, durable=True, arguments={"x-queue-type": "quorum"}
            )
            for event_type in EVENT_TYPES:
                await queue.bind(EXCHANGE, event_type.type)
            await queue.consume(self._hear)
            self._bound.set()
            await lost.wait()
        finally:
            self._channel = None
            with suppress(Exception):
                await asyncio.wait_for(connection.close(), 1)

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        completed = self.ledger.hear(message.body, is_redelivered=bool(message.redelivered))
        await message.ack()
        if completed:
            self.on_completed(completed)
