"""Publishing to RabbitMQ: with confirm, within a limit of time, and knowing what went nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiormq import spec
from aiormq.abc import AbstractChannel

from shared.errors import PermanentError, TransientError
from shared.messaging.amqp_connection import Link, broker_errors
from shared.messaging.amqp_messages import death_headers, forwarded, published
from shared.messaging.port import EXCHANGE, UNROUTED_QUEUE, Message, UnroutableError, unrouted
from shared.messaging.topology import KEPT_EXCHANGE


class Publisher:
    """One confirm channel, opened anew whenever it is lost."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()

    async def publish(self, message: Message) -> None:
        """Publish to the event exchange; on return the message is on disk in every bound queue.

        Raises:
            UnroutableError: No queue is bound; it lies in ``flightline.unrouted``.
            TransientError: The outcome is unknown.
        """
        try:
            await self.route(message)
        except UnroutableError:
            await self._keep_unrouted(message)
            raise

    async def route(self, message: Message) -> None:
        """Publish to the event exchange what is kept elsewhere where no queue is bound.

        Raises:
            UnroutableError: No queue is bound; the broker has not kept it.
            TransientError: The outcome is unknown.
        """
        try:
            await self._send(EXCHANGE, message.routing_key, message.body, published(message))
        except UnroutableError as error:
            raise UnroutableError(f"no queue is bound to {message.routing_key!r}") from error
        except PermanentError as error:
            raise TransientError(f"exchange {EXCHANGE} is gone; {error}") from error

    async def forward(self, message: Message, queue: str, more: Mapping[str, Any]) -> None:
        """Put ``message`` into ``queue``, with the headers ``more``.

        Raises:
            TransientError: The outcome is unknown, or the queue is not there.
        """
        try:
            await self._send("", queue, message.body, forwarded(message, more))
        except PermanentError as error:
            raise TransientError(f"queue {queue} is gone; {error}") from error

    async def _send(
        self, exchange: str, routing_key: str, body: bytes, properties: spec.Basic.Properties
    ) -> None:
        channel = self._channel
        if channel is None or channel.is_closed:
            channel = await self._open()
        async with broker_errors(f"publish {routing_key!r}"):
            await channel.basic_publish(
                body, exchange=exchange, routing_key=routing_key, properties=properties, mandatory=True
            )

    async def _open(self) -> AbstractChannel:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                self._channel = await self._link.channel(confirms=True)
            return self._channel

    async def _keep_unrouted(self, message: Message) -> None:
        properties = forwarded(message, death_headers(unrouted(message.routing_key)))
        try:
            await self._send(KEPT_EXCHANGE, message.routing_key, message.body, properties)
        except PermanentError as error:
            raise TransientError(f"{UNROUTED_QUEUE} is gone; {error}") from error
