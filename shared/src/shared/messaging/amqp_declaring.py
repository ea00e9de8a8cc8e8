"""Declaring a topology on RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiormq.abc import AbstractChannel

from shared.messaging.amqp_connection import Link, broker_errors, channel_of
from shared.messaging.topology import Declarations, Queue

CHANNELS = 8
"""Quorum queues take the broker some time each, and it makes several at once."""
DECLARE_WITHIN_S = 30.0


async def declare_on(link: Link, wanted: Declarations) -> None:
    """Declare ``wanted``, repeatable; never deletes.

    Raises:
        PermanentError: The broker has something of the same name and another shape; the error says what.
        TransientError: The broker cannot be reached.
    """
    async with channel_of(link) as channel:
        await _declare_exchanges(channel, wanted)
        shares = [wanted.queues[start::CHANNELS] for start in range(min(CHANNELS, len(wanted.queues)))]
        outcomes = await asyncio.gather(
            *(_declare_queues(link, share) for share in shares), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        await _declare_bindings(channel, wanted)


async def _declare_exchanges(channel: AbstractChannel, wanted: Declarations) -> None:
    for each in wanted.exchanges:
        async with broker_errors(f"declare exchange {each.name}"):
            await channel.exchange_declare(
                each.name, exchange_type=each.kind, durable=True, arguments=dict(each.arguments)
            )


async def _declare_queues(link: Link, queues: Sequence[Queue]) -> None:
    async with channel_of(link) as channel:
        for each in queues:
            async with broker_errors(f"declare queue {each.name}", within_s=DECLARE_WITHIN_S):
                await channel.queue_declare(each.name, durable=True, arguments=dict(each.arguments))


async def _declare_bindings(channel: AbstractChannel, wanted: Declarations) -> None:
    for each in wanted.bindings:
        bind = channel.exchange_bind if each.to_exchange else channel.queue_bind
        async with broker_errors(f"bind {each.destination} to {each.source}"):
            await bind(each.destination, each.source, each.routing_key, arguments=dict(each.arguments))
