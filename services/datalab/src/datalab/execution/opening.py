"""Puts the execution together: beside the HTTP interface, and in processes that only work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import SecretStr
from yarl import URL

from datalab.collections import OPERATIONS
from datalab.domain.asked import AskedOperation
from datalab.domain.computations import Computation
from datalab.execution.asking import Asking
from datalab.execution.collections import COMPUTATIONS
from datalab.execution.computing import Computing
from datalab.execution.config import ExecutionSettings
from datalab.execution.events import CALLS, SERVICE, ComputationAsked
from datalab.execution.finishing import Finishing
from datalab.execution.flights import FlightSessions, show_products
from datalab.execution.line import Line
from datalab.execution.links import Links
from datalab.execution.processes import Processes
from datalab.execution.showing import Showing
from datalab.execution.storing import Storing
from datalab.execution.wanting import Wanting
from datalab.execution.working import Working
from datalab.inputs.archive import Archive
from datalab.inputs.cache import FileCache
from datalab.inputs.files import InputFiles
from datalab.inputs.places import Folders, open_buckets
from datalab.inputs.scratch import open_scratch
from datalab.inputs.stored import Products, Results, Uploads
from datalab.operations.registry import Registry
from shared.cores import cores
from shared.errors import InvalidInputError
from shared.events import Event, TaskCompleted
from shared.messaging.bus import Bus
from shared.messaging.consumer import Consumer
from shared.messaging.port import Subscription
from shared.messaging.relay import OutboxRelay
from shared.objects.port import ObjectStore
from shared.platform import Platform, messaging
from shared.secret_file import kept_secret
from shared.service import Service
from shared.state import Collection
from shared.state.owner import process_owner

Heard = Callable[[Event[TaskCompleted]], Awaitable[None]]
SUBSCRIPTIONS = (CALLS, Subscription(SERVICE, TaskCompleted.type))
ARCHIVE_CONNECT_S = 5.0
ARCHIVE_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Execution:
    """What the HTTP interface needs."""

    operations: Asking
    files: InputFiles
    links: Links
    objects: ObjectStore


@asynccontextmanager
async def opened_operations(
    settings: ExecutionSettings,
    on: Platform,
    service: Service,
    registry: Registry,
    sessions: FlightSessions | None = None,
    heard: Sequence[Heard] = (),
) -> AsyncIterator[Execution]:
    """Have operations asked for, and computed where ``settings`` want workers beside the HTTP interface.

    Args:
        settings: Datalab's.
        on: The backends.
        service: Gets the loops.
        registry: The operations that there are.
        sessions: Where flights that were processed are shown.
        heard: Who else wants to know of tasks that ended, those of datalab among them.
    """
    slots = settings.workers
    if slots is None:
        slots = 1 if on.settings.bus.startswith("sqlite:") else 0
    async with _parts(settings, on, service, registry, slots) as parts:
        consumer = parts.consumer
        if sessions is not None:
            consumer.on(
                TaskCompleted,
                _task_ended,
                sessions=sessions,
                objects=on.objects,
                owner=settings.flight_owner,
                heard=heard,
            )
        async with messaging(service, parts.bus, consumer, parts.relay):
            links = Links(on.objects, await _url_key(settings, on))
            showing = Showing(parts.wanting.computations, links)
            line = Line(parts.wanting.computations)
            asking = Asking(registry, parts.files, line, parts.wanting, showing)
            yield Execution(asking, parts.files, links, on.objects)


@asynccontextmanager
async def opened_worker(
    settings: ExecutionSettings, on: Platform, service: Service, registry: Registry
) -> AsyncIterator[None]:
    """Compute what is asked for elsewhere."""
    slots = settings.workers or cores()
    async with (
        _parts(settings, on, service, registry, slots) as parts,
        messaging(service, parts.bus, parts.consumer, parts.relay),
    ):
        yield


async def _task_ended(
    event: Event[TaskCompleted],
    *,
    sessions: FlightSessions,
    objects: ObjectStore,
    owner: str,
    heard: Sequence[Heard],
) -> None:
    await show_products(event, sessions=sessions, objects=objects, owner=owner)
    for hear in heard:
        await hear(event)


@dataclass(frozen=True, slots=True)
class _Parts:
    wanting: Wanting
    files: InputFiles
    bus: Bus
    consumer: Consumer
    relay: OutboxRelay


@asynccontextmanager
async def _parts(
    settings: ExecutionSettings, on: Platform, service: Service, registry: Registry, slots: int
) -> AsyncIterator[_Parts]:
    folder = settings.work_folder or on.settings.home / SERVICE
    relay = OutboxRelay(on.transport, on.store, [COMPUTATIONS.name, OPERATIONS.name])
    computations = Collection(on.store, COMPUTATIONS, Computation, wake=relay.wake)
    operations = Collection(on.store, OPERATIONS, AskedOperation, wake=relay.wake)
    storing = Storing(on.objects)
    bus = on.bus(SERVICE)
    consumer = bus.consumer(prefetch=max(1, slots), grace=settings.shutdown_grace)
    async with AsyncExitStack() as stack:
        files = await stack.enter_async_context(_files(settings, on, folder))
        wake = _Wake()
        wanting = Wanting(computations, operations, on.objects, wake)
        finishing = Finishing(
            wanting,
            Line(computations),
            storing,
            on.transport,
            process_owner(),
            settings.lease,
            settings.keep_results,
        )
        service.background("finishing", finishing.run)
        service.background("calls", finishing.call_again)
        service.background("counts", finishing.count)
        if slots:
            processes = Processes(
                settings.memory_bytes,
                settings.time_limit.total_seconds(),
                settings.idle.total_seconds(),
                folder / "compiled",
            )
            await stack.enter_async_context(processes)
            computing = Computing(registry, files, processes, storing, _for_operations(settings))
            working = Working(
                computations,
                computing,
                finishing,
                owner=process_owner(),
                lease=settings.lease,
                slots=slots,
                crashes_at_most=settings.crashes,
                retry_after=on.settings.retry_ladder,
                grace_s=settings.shutdown_grace.total_seconds(),
            )
            wake.on = working.wake
            service.background("computing", working.run)
            service.on_drain(working.drain)
            consumer.on(ComputationAsked, working.heed)
        yield _Parts(wanting, files, bus, consumer, relay)


@dataclass(slots=True)
class _Wake:
    """Has workers of this process look for work, if there are any."""

    on: Callable[[], None] | None = None

    def __call__(self) -> None:
        if self.on:
            self.on()


@asynccontextmanager
async def _files(settings: ExecutionSettings, on: Platform, folder: Path) -> AsyncIterator[InputFiles]:
    from shared.outside import outside_session  # noqa: PLC0415 - a fifth of a second

    cache = FileCache(folder / "files", settings.cache_bytes)
    try:
        await asyncio.to_thread(cache.prepare)
    except OSError as error:
        raise InvalidInputError(
            f"{folder} cannot be written ({error.strerror}); set DATALAB_WORK_FOLDER", field="work_folder"
        ) from error
    at_most = settings.file_bytes_at_most
    reach = partial(
        outside_session,
        connect_s=ARCHIVE_CONNECT_S,
        read_s=settings.archive_patience.total_seconds(),
        connections=ARCHIVE_CONNECTIONS,
    )
    async with (
        open_scratch(folder / "under-way") as scratch,
        reach(allow_private=True) as trusted,
        reach(allow_private=on.settings.allow_private_urls) as guarded,
        open_buckets(settings.s3_roots, on.settings, at_most) as buckets,
    ):
        files = InputFiles(cache, scratch)
        files.sources = {
            "archive": Archive(
                URL(str(settings.archive_url)), trusted, guarded, settings.archive_token, at_most
            ),
            "datalab": Results(on.objects, at_most, on.store, files.check),
            "upload": Uploads(on.objects, at_most, on.store),
            "product": Products(on.objects, at_most, settings.flight_owner),
            "s3": buckets,
            "file": Folders(tuple(Path(root) for root in settings.file_roots)),
        }
        yield files


def _for_operations(settings: ExecutionSettings) -> dict[str, str]:
    return {"tap_url": str(settings.tap_url), "fits_compression": settings.fits_compression}


async def _url_key(settings: ExecutionSettings, on: Platform) -> SecretStr:
    if settings.url_key is not None:
        return settings.url_key
    path = on.settings.home / "datalab-url-key"
    return SecretStr(await asyncio.to_thread(kept_secret, path, setting="DATALAB_URL_KEY"))
