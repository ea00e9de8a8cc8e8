"""What discovery consists of, but for its HTTP interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from discovery.collections import FLIGHTS, LOGINS, OAUTH_STATES, POSTED, SESSIONS
from discovery.config import Settings
from discovery.domain.flights import Flight, PostedEvent
from discovery.feed import Feed
from discovery.finder import Finder
from discovery.handlers import note_completed, note_found, note_staged
from discovery.loops import forget_expired, scan_roots, settle_flights
from discovery.notifications import Notifications
from discovery.opening import (
    opened_doorkeeper,
    opened_logins,
    opened_plans,
    opened_tapis,
    plans_of,
    public_url,
)
from discovery.outward import opened_notifications, opened_projects
from discovery.projects import Projects
from shared.events import FlightFound, ImagesStaged, TaskCompleted
from shared.messaging.consumer import Consumer
from shared.messaging.port import Subscription
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform, messaging, service_platform
from shared.service import Resources, Service, State
from shared.sources import open_sources
from shared.state import Collection

SUBSCRIPTIONS = (
    Subscription("discovery", FlightFound.type),
    Subscription("discovery", ImagesStaged.type),
    Subscription("discovery", TaskCompleted.type),
)
FORGET_EVERY = timedelta(minutes=10)
PASSING = (POSTED.name, OAUTH_STATES.name, SESSIONS.name, LOGINS.name)
"""Collections of what is forgotten after a while."""


def resources(settings: Settings, platform: Platform | None = None) -> Resources:
    """Return what discovery consists of; ``platform`` is that of a process that runs several services."""

    @asynccontextmanager
    async def opened(service: Service) -> AsyncIterator[State]:
        async with (
            service_platform(service, platform, SUBSCRIPTIONS, (FLIGHTS, POSTED)) as on,
            opened_logins(settings, on) as logins,
            open_sources(
                on.settings.model_copy(update={"discovery_url": public_url(settings, on.settings)}), logins
            ) as sources,
        ):
            relay = OutboxRelay(on.transport, on.store, [FLIGHTS.name, POSTED.name])
            flights = Collection(on.store, FLIGHTS, Flight, wake=relay.wake)
            posted = Collection(on.store, POSTED, PostedEvent, wake=relay.wake)
            layout = settings.flight_layout(on.settings.file_rule)
            is_elsewhere = settings.webodm_mode == "webodm"
            finder = Finder(flights, sources, settings.settle, layout, is_elsewhere)
            feed = Feed(on.transport, flights)
            plans = plans_of(on)
            async with (
                opened_projects(settings, on, service, flights, finder.look) as projects,
                opened_notifications(settings, on, service, flights, plans.wishes_of) as notifications,
            ):
                tapis = await opened_tapis(settings, on, logins, finder, projects)
                await opened_plans(settings, on, service, plans, tapis)
                doorkeeper = await opened_doorkeeper(settings, on, logins)
                bus = on.bus("discovery")
                consumer = bus.consumer(grace=settings.shutdown_grace)
                _listen(consumer, flights, projects, notifications)
                service.background("feed", feed.run)
                service.background("forget", partial(forget_expired, on.store, PASSING, every=FORGET_EVERY))
                _look_around(service, settings, finder)
                async with messaging(service, bus, consumer, relay):
                    yield {
                        "flights": flights,
                        "posted": posted,
                        "finder": finder,
                        "feed": feed,
                        "plans": plans,
                        "projects": projects,
                        "notifications": notifications,
                        "tapis": tapis,
                        "doorkeeper": doorkeeper,
                        "viewer_of": doorkeeper.viewer,
                    }

    return opened


def _listen(
    consumer: Consumer, flights: Collection[Flight], projects: Projects, notifications: Notifications
) -> None:
    """Hear how far the flights are."""
    consumer.on(FlightFound, note_found, also=[notifications.note])
    consumer.on(ImagesStaged, note_staged, flights=flights, also=[projects.note_staged, notifications.note])
    consumer.on(
        TaskCompleted, note_completed, flights=flights, also=[projects.note_completed, notifications.note]
    )


def _look_around(service: Service, settings: Settings, finder: Finder) -> None:
    """Look at flights that have to settle, and at the roots."""
    service.background("settle", partial(settle_flights, finder, every=settings.settle))
    if settings.roots:
        service.background("scan", partial(scan_roots, finder, settings.roots, every=settings.scan_every))
