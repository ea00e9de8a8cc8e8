"""How much waits in the queues of a service, looked at now and then rather than whenever somebody asks."""

from __future__ import annotations

import asyncio

import structlog

from shared.errors import PermanentError, TransientError
from shared.messaging.bus import Bus
from shared.messaging.metrics import DEAD_LETTERS, QUEUE_MESSAGES, UNROUTED_MESSAGES
from shared.messaging.port import UNROUTED_QUEUE
from shared.messaging.topology import dead_queue
from shared.rhythm import until_next_s

LOOK_EVERY_S = 60.0

log = structlog.get_logger(__name__)


async def note_depths(bus: Bus) -> None:
    """Note the depth of every queue of a service, of its dead letters and of what nobody wants, for ever."""
    queues = [each.queue for each in bus.topology.subscriptions if each.service == bus.service]
    while True:
        try:
            for queue in queues:
                depth = await bus.transport.depth(queue)
                QUEUE_MESSAGES.labels(bus.service, queue).set(depth)
                dead = await bus.transport.depth(dead_queue(queue))
                DEAD_LETTERS.labels(bus.service, queue).set(dead)
            UNROUTED_MESSAGES.set(await bus.transport.depth(UNROUTED_QUEUE))
        except (PermanentError, TransientError) as error:
            log.debug("depths.unknown", error=str(error))
        await asyncio.sleep(until_next_s(LOOK_EVERY_S))
