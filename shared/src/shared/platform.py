"""The three backends that every service stands on, opened together and closed in reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from shared.messaging.bus import Bus, open_transport
from shared.messaging.consumer import Consumer
from shared.messaging.depths import note_depths
from shared.messaging.port import START_WITHIN, Subscription, Topology, Transport
from shared.messaging.relay import OutboxRelay
from shared.objects.open import open_objects
from shared.objects.port import ObjectStore
from shared.service import Service
from shared.settings import PlatformSettings, load
from shared.state import CollectionSpec
from shared.state.open import open_store
from shared.state.port import Store
from shared.tracing.exporting import exporting


@dataclass(frozen=True, slots=True)
class Platform:
    """Bus, state and objects; one process needs one, however many services it runs."""

    settings: PlatformSettings
    transport: Transport
    store: Store
    objects: ObjectStore
    topology: Topology

    def bus(self, service: str) -> Bus:
        """Return the bus as ``service`` sees it."""
        return Bus(self.transport, service, self.topology)


@asynccontextmanager
async def open_platform(
    settings: PlatformSettings,
    subscriptions: Iterable[Subscription],
    *,
    start_within: timedelta = START_WITHIN,
) -> AsyncIterator[Platform]:
    """Open the backends that ``settings`` name, with the queues of ``subscriptions`` declared.

    Args:
        settings: Where they are.
        subscriptions: The queues that this process needs.
        start_within: How long to wait for a broker that cannot be reached yet.

    Raises:
        InvalidInputError: A URL is of no kind that is known.
        TransientError: A server cannot be reached.
        DamagedError: A file of an embedded backend is damaged; it is left as it is.
    """
    topology = Topology(tuple(subscriptions), settings.retry_ladder)
    async with (
        exporting(settings.otlp_endpoint, settings.trace_ratio),
        open_store(settings.state) as store,
        open_object_store(settings) as objects,
        open_transport(settings.bus, start_within=start_within) as transport,
    ):
        await transport.declare(topology)
        yield Platform(settings, transport, store, objects, topology)


def open_object_store(settings: PlatformSettings) -> AbstractAsyncContextManager[ObjectStore]:
    """Open the object store that ``settings`` name."""
    return open_objects(
        settings.objects,
        endpoint_url=settings.s3_endpoint,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
    )


@asynccontextmanager
async def service_platform(
    service: Service,
    given: Platform | None,
    subscriptions: Iterable[Subscription],
    collections: Iterable[CollectionSpec],
) -> AsyncIterator[Platform]:
    """Give a service its backends, its collections declared and its readiness tied to them.

    Args:
        service: Who asks.
        given: The backends of a process that runs several services; None: its own, by ``FLIGHTLINE_*``.
        subscriptions: The events that it hears.
        collections: The documents that it owns.
    """
    opened = nullcontext(given) if given else open_platform(load(PlatformSettings), subscriptions)
    async with opened as platform:
        await platform.store.declare(*collections)
        service.ready_when("state", platform.store.ping)
        service.ready_when("objects", platform.objects.ping)
        service.ready_when("bus", platform.transport.ping)
        yield platform


@asynccontextmanager
async def messaging(
    service: Service, bus: Bus, consumer: Consumer, relay: OutboxRelay
) -> AsyncIterator[None]:
    """Consume, relay and tell progress while the block runs; on SIGTERM finish what is in hand first."""
    service.background("outbox", relay.run)
    service.background("progress", bus.teller.run)
    service.background("depths", partial(note_depths, bus))
    service.ready_when("consumer", lambda: consumer.is_consuming)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(consumer)
        service.on_drain(stack.aclose)
        service.on_drain(relay.flush)
        yield
