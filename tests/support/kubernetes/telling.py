"""What the gateway told of tasks' ends."""

from __future__ import annotations

import asyncio
from collections import Counter

from odm_gateway.loops import TASKS
from shared.events import Event, TaskCompleted
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform
from tests.support.gateway import LISTENER


async def told_of(platform: Platform, at_least: int) -> dict[str, tuple[str, int]]:
    """Return what was told of each task, and by how many different events, once there are enough."""
    await platform.store.declare(TASKS)
    await OutboxRelay(platform.transport, platform.store, [TASKS.name]).flush()
    events: dict[str, TaskCompleted] = {}
    async with (
        asyncio.timeout(60),
        platform.transport.consume(LISTENER.queue, prefetch=1) as deliveries,
    ):
        while len(events) < at_least or await platform.transport.depth(LISTENER.queue):
            delivery = await anext(deliveries)
            await delivery.ack()
            event = Event[TaskCompleted].model_validate_json(delivery.message.body)
            events[event.id] = event.data
    told = Counter(event.task_id for event in events.values())
    return {event.task_id: (event.status, told[event.task_id]) for event in events.values()}
