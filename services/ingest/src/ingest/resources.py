"""What ingest consists of, but for its HTTP interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ingest.collections import JOURNAL, TRANSFERS
from ingest.config import Settings
from ingest.copying import Copier
from ingest.domain.transfers import FileRecord, Transfer
from ingest.files import Rules
from ingest.handlers import begin_transfer
from ingest.limits import Limits
from ingest.loops import TransferLoop
from shared.budget import Budget
from shared.events import FlightFound
from shared.messaging.port import Subscription
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform, messaging, service_platform
from shared.service import Resources, Service, State
from shared.sources import open_sources
from shared.state import Collection
from shared.state.owner import process_owner

SUBSCRIPTIONS = (Subscription("ingest", FlightFound.type),)


def resources(settings: Settings, platform: Platform | None = None) -> Resources:
    """Return what ingest consists of; ``platform`` is that of a process that runs several services."""

    @asynccontextmanager
    async def opened(service: Service) -> AsyncIterator[State]:
        async with (
            service_platform(service, platform, SUBSCRIPTIONS, (TRANSFERS, JOURNAL)) as on,
            open_sources(on.settings) as sources,
        ):
            relay = OutboxRelay(on.transport, on.store, [TRANSFERS.name])
            transfers = Collection(on.store, TRANSFERS, Transfer, wake=relay.wake)
            journal = Collection(on.store, JOURNAL, FileRecord)
            bus = on.bus("ingest")
            loop = TransferLoop(
                transfers=transfers,
                copier=Copier(
                    sources, on.objects, transfers, journal, _limits(settings), _rules(settings, on)
                ),
                bus=bus,
                owner=process_owner(),
                lease=settings.lease,
                at_once=settings.transfers_at_once,
                retry_after=on.settings.retry_ladder,
                login_checked_every=settings.login_checked_every,
            )
            consumer = bus.consumer(grace=settings.shutdown_grace)
            consumer.on(FlightFound, begin_transfer, transfers=transfers, wake=loop.wake)
            service.background("transfers", loop.run)
            async with messaging(service, bus, consumer, relay):
                yield {"transfers": transfers, "journal": journal, "wake": loop.wake}

    return opened


def _limits(settings: Settings) -> Limits:
    return Limits(settings.files_at_once, Budget(settings.bytes_in_flight))


def _rules(settings: Settings, on: Platform) -> Rules:
    return Rules(
        resumable_from_bytes=settings.resumable_from_bytes,
        file_bytes_at_most=settings.file_bytes_at_most,
        files_at_most=settings.files_at_most,
        unreadable_at_most=settings.unreadable_at_most,
        belongs=on.settings.file_rule,
    )
