"""Somebody who hears every event, in queues of their own."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from shared.events import EVENT_TYPES, Event, EventData
from shared.messaging.codec import decode
from shared.messaging.port import Subscription
from shared.platform import Platform

D = TypeVar("D", bound=EventData)

LISTENER = "listener"
TELLING = tuple(Subscription(LISTENER, kind.type) for kind in EVENT_TYPES)
"""To be declared before the first event is told."""


async def heard(platform: Platform, kind: type[D], *, at_least: int = 0) -> list[Event[D]]:
    """Take what was told from the listener's queue, waiting until there are enough."""
    queue = Subscription(LISTENER, kind.type).queue
    events: list[Event[D]] = []
    async with asyncio.timeout(15), platform.transport.consume(queue, prefetch=1) as deliveries:
        while len(events) < at_least or await platform.transport.depth(queue):
            delivery = await anext(deliveries)
            await delivery.ack()
            events.append(decode(delivery.message, kind))
    return events
