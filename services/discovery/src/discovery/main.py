"""Put discovery together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from fastapi import FastAPI

from discovery.collections import FLIGHTS, POSTED
from discovery.config import Settings
from discovery.domain.flights import Flight, PostedEvent
from discovery.finder import Finder
from discovery.handlers import note_completed, note_staged
from discovery.loops import forget_posted, scan_roots, settle_flights
from discovery.routes import router
from shared.events import ImagesStaged, TaskCompleted
from shared.messaging.port import Subscription
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform, messaging, service_platform
from shared.service import Service, State, create_service, start
from shared.settings import load
from shared.sources import open_sources
from shared.state import Collection

SUBSCRIPTIONS = (
    Subscription("discovery", ImagesStaged.type),
    Subscription("discovery", TaskCompleted.type),
)
FORGET_EVERY = timedelta(hours=1)

PURPOSE = "Finds flights, announces each version once, and keeps their status."


def create_app(settings: Settings | None = None, platform: Platform | None = None) -> FastAPI:
    """Return the discovery service; ``platform`` is that of a process that runs several services."""
    settings = settings or load(Settings)

    @asynccontextmanager
    async def resources(service: Service) -> AsyncIterator[State]:
        async with (
            service_platform(service, platform, SUBSCRIPTIONS, (FLIGHTS, POSTED)) as on,
            open_sources(on.settings) as sources,
        ):
            relay = OutboxRelay(on.transport, on.store, [FLIGHTS.name, POSTED.name])
            flights = Collection(on.store, FLIGHTS, Flight, wake=relay.wake)
            posted = Collection(on.store, POSTED, PostedEvent, wake=relay.wake)
            finder = Finder(flights, sources, settings.settle, settings.layout)
            bus = on.bus("discovery")
            consumer = bus.consumer(grace=settings.shutdown_grace)
            consumer.on(ImagesStaged, note_staged, flights=flights)
            consumer.on(TaskCompleted, note_completed, flights=flights)
            service.background("settle", partial(settle_flights, finder, every=settings.settle))
            service.background("forget", partial(forget_posted, posted, every=FORGET_EVERY))
            if settings.roots:
                service.background(
                    "scan", partial(scan_roots, finder, settings.roots, every=settings.scan_every)
                )
            async with messaging(service, bus, consumer, relay):
                yield {"flights": flights, "posted": posted, "finder": finder}

    return create_service(
        "discovery",
        resources,
        router,
        settings=settings,
        description=PURPOSE,
    )


def run() -> None:
    """Run the service until SIGTERM."""
    start("discovery", PURPOSE, Settings, create_app)
