"""What the mover consists of, but for its HTTP interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mover.collections import MOVES, SCHEDULE
from mover.config import Settings
from mover.handlers import note_scaled
from mover.loops import SortingLoop
from mover.runs import open_runs
from shared.events import ImageScaled
from shared.messaging.port import Subscription
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform, messaging, service_platform
from shared.service import Resources, Service, State

SERVICE = "mover"
SUBSCRIPTIONS = (Subscription(SERVICE, ImageScaled.type),)


def resources(settings: Settings, platform: Platform | None = None) -> Resources:
    """Return what the mover consists of; ``platform`` is that of a process that runs several services."""

    @asynccontextmanager
    async def opened(service: Service) -> AsyncIterator[State]:
        async with (
            service_platform(service, platform, SUBSCRIPTIONS, (MOVES, SCHEDULE)) as on,
            open_runs(settings, on.settings, on.store) as runs,
        ):
            loop = SortingLoop(runs, settings.frequency, settings.debounce)
            bus = on.bus(SERVICE)
            consumer = bus.consumer(grace=settings.shutdown_grace)
            consumer.on(ImageScaled, note_scaled, note=loop.note_scaled)
            service.background("sorting", loop.run)
            service.on_drain(loop.drain)
            async with messaging(service, bus, consumer, OutboxRelay(on.transport, on.store, [])):
                yield {"runs": runs, "loop": loop}

    return opened
