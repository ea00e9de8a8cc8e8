"""How many messages lie in the queues of RabbitMQ, asked without taking any."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from aiormq import spec

from shared.errors import PermanentError
from shared.messaging.amqp_connection import Link, broker_errors, channel_of
from shared.messaging.port import QueueCounts
from shared.messaging.topology import dead_queue, retry_queue


async def counts(link: Link, queue: str, ladder: Sequence[timedelta]) -> QueueCounts:
    """Return what lies in ``queue`` and beside it.

    Raises:
        PermanentError: There is no such queue.
    """
    work = await _looked_at(link, queue)
    beside = [dead_queue(queue), *(retry_queue(queue, delay) for delay in ladder)]
    dead, *retrying = await asyncio.gather(*(_count(link, name) for name in beside))
    return QueueCounts(
        ready=work.message_count or 0,
        in_hand=None,
        retrying=sum(retrying),
        dead=dead,
        consumers=work.consumer_count or 0,
        oldest_s=None,
    )


async def _count(link: Link, queue: str) -> int:
    """Return how many messages wait in a queue, 0 where it is not there."""
    try:
        return (await _looked_at(link, queue)).message_count or 0
    except PermanentError:
        return 0


async def _looked_at(link: Link, queue: str) -> spec.Queue.DeclareOk:
    async with channel_of(link) as channel, broker_errors(f"look at queue {queue}"):
        return await channel.queue_declare(queue, passive=True)
