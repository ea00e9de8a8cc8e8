"""What scaler consists of, but for its HTTP interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scaler.codecs import Codecs
from scaler.collections import COLLECTIONS
from scaler.config import Settings
from scaler.jobs.opening import run_jobs
from scaler.webdav.opening import opened_webdav, run_webdav
from shared.events import ImagesStaged
from shared.messaging.port import Subscription
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform, messaging, service_platform
from shared.service import Resources, Service, State
from shared.sources import open_sources

SERVICE = "scaler"
SUBSCRIPTIONS = (Subscription(SERVICE, ImagesStaged.type),)


def resources(settings: Settings, platform: Platform | None = None) -> Resources:
    """Return what scaler consists of; ``platform`` is that of a process that runs several services."""

    @asynccontextmanager
    async def opened(service: Service) -> AsyncIterator[State]:
        async with (
            service_platform(service, platform, SUBSCRIPTIONS, COLLECTIONS) as on,
            open_sources(on.settings) as sources,
            Codecs(pixels_at_most=settings.pixels_at_most) as codecs,
        ):
            relay = OutboxRelay(on.transport, on.store, [spec.name for spec in COLLECTIONS])
            bus = on.bus(SERVICE)
            consumer = bus.consumer(grace=settings.shutdown_grace)
            jobs = run_jobs(settings, on, service, bus, consumer, relay, sources, codecs)
            async with (
                opened_webdav(settings, on, codecs, relay.wake) as webdav,
                messaging(service, bus, consumer, relay),
            ):
                run_webdav(service, webdav, relay)
                yield {"settings": settings, "jobs": jobs, "webdav": webdav}

    return opened
