"""What the gateway consists of, but for its HTTP interface."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING

from odm_gateway.adapters.accounts import LOGINS, USERS, Accounts
from odm_gateway.adapters.console_log import CONSOLE, ConsoleChunk, ConsoleLog
from odm_gateway.adapters.engines import opened_engine
from odm_gateway.adapters.intake import Intake
from odm_gateway.adapters.spare_worker import SpareWorker
from odm_gateway.adapters.upload_shelf import Shelf
from odm_gateway.adapters.uploads import UPLOAD_FILES, UPLOADS, Uploads
from odm_gateway.adapters.webhooks import CONNECTIONS_AT_MOST, Webhooks
from odm_gateway.admission import OPEN_STATUS
from odm_gateway.config import Downloads, Settings
from odm_gateway.domain.logins import Login, User
from odm_gateway.domain.options import OptionTable
from odm_gateway.domain.sources import Folders
from odm_gateway.domain.tasks import Task
from odm_gateway.domain.uploads import Draft, Limits, UploadedFile
from odm_gateway.handlers import start_task, tell_webhooks
from odm_gateway.loops import TASKS, TaskLoop
from odm_gateway.metrics import count_tasks
from odm_gateway.node import Node
from odm_gateway.ports import Engine
from odm_gateway.retention import Retention
from odm_gateway.upload_tidying import UploadTidying
from odm_gateway.wire.host import HostFacts
from odm_gateway.wire.listing import Listing
from shared.errors import InvalidInputError
from shared.events import ImagesStaged, TaskCompleted
from shared.messaging.bus import Bus
from shared.messaging.port import Subscription
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform, messaging, service_platform
from shared.service import Resources, Service, State
from shared.state import Collection
from shared.state.owner import process_owner
from shared.webhooks import open_webhooks

if TYPE_CHECKING:
    from odm_gateway.adapters.tapis_callers import TapisCallers

SERVICE = "odm-gateway"
SUBSCRIPTIONS = (Subscription(SERVICE, ImagesStaged.type), Subscription(SERVICE, TaskCompleted.type))
COLLECTIONS = (TASKS, CONSOLE, USERS, LOGINS, UPLOADS, UPLOAD_FILES)


def resources(
    settings: Settings, platform: Platform | None = None, spare: SpareWorker | None = None
) -> Resources:
    """Return what the gateway consists of.

    Args:
        settings: Those of the gateway.
        platform: That of a process that runs several services.
        spare: May have been started before everything else.
    """
    table = OptionTable.parse(
        files("odm_gateway").joinpath("odm-options.json").read_text("utf-8"),
        host_cores=os.cpu_count() or 1,
        cores_per_task=settings.cores_per_task,
    )

    @asynccontextmanager
    async def opened(service: Service) -> AsyncIterator[State]:
        async with (
            service_platform(service, platform, SUBSCRIPTIONS, COLLECTIONS) as on,
            open_webhooks(
                allow_private=settings.allow_private_urls,
                secret=settings.webhook_secret,
                connections=CONNECTIONS_AT_MOST,
            ) as webhooks,
            opened_engine(settings, on, service, spare or SpareWorker()) as engine,
            _tapis_callers(settings, on) as tapis,
        ):
            relay = OutboxRelay(on.transport, on.store, [TASKS.name])
            tasks = Collection(on.store, TASKS, Task, wake=relay.wake)
            bus = on.bus(SERVICE)
            loop = _task_loop(settings, on, bus, tasks, engine)
            consumer = bus.consumer(grace=settings.shutdown_grace)
            consumer.on(
                ImagesStaged,
                start_task,
                tasks=tasks,
                objects=on.objects,
                options=table,
                max_images=settings.max_images,
                wake=loop.wake,
            )
            consumer.on(
                TaskCompleted,
                tell_webhooks,
                tasks=tasks,
                objects=on.objects,
                node_hook=settings.webhook.get_secret_value() if settings.webhook else None,
                post=Webhooks(webhooks).post,
            )
            service.background("retention", Retention(tasks, settings.cleanup, [LOGINS.name]).run)
            uploads = _uploads(settings, on, tasks)
            service.background("uploads", UploadTidying(uploads, settings.cleanup_uploads).run)
            service.background("tasks", loop.run)
            service.background("task counts", partial(count_tasks, tasks, dict(settings.shares)))
            service.background("tidy", loop.tidy)
            async with messaging(service, bus, consumer, relay):
                node = _node(settings, on, table, loop, uploads)
                yield {"node": replace(node, tapis=tapis)}

    return opened


def _task_loop(
    settings: Settings, on: Platform, bus: Bus, tasks: Collection[Task], engine: Engine
) -> TaskLoop:
    return TaskLoop(
        tasks=tasks,
        console=ConsoleLog(Collection(on.store, CONSOLE, ConsoleChunk)),
        objects=on.objects,
        engine=engine,
        bus=bus,
        owner=process_owner(),
        lease=settings.lease,
        at_once=settings.at_once,
        shares=dict(settings.shares),
        cluster_url=str(settings.cluster_url) if settings.cluster_url else None,
        max_images=settings.max_images,
        max_runtime=settings.max_runtime,
        retry_after=on.settings.retry_ladder,
        intake=Intake(
            on.objects,
            settings.work_dir or on.settings.home / "work",
            allow_private_urls=settings.allow_private_urls,
            max_archive_bytes=settings.max_archive_bytes,
            max_images=settings.max_images,
        ),
    )


def _uploads(settings: Settings, on: Platform, tasks: Collection[Task]) -> Uploads:
    return Uploads(
        drafts=Collection(on.store, UPLOADS, Draft),
        files=Collection(on.store, UPLOAD_FILES, UploadedFile),
        shelf=Shelf(tasks, on.objects, Limits(settings.max_images, settings.max_upload_bytes)),
        folders=Folders(settings.folders),
    )


def _node(settings: Settings, on: Platform, table: OptionTable, loop: TaskLoop, uploads: Uploads) -> Node:
    return Node(
        uploads=uploads,
        tasks=loop.tasks,
        console=loop.console,
        objects=on.objects,
        options=table,
        keyring=settings.keyring,
        host=HostFacts(lambda: loop.tasks.count({"status": OPEN_STATUS})),
        engine="flightline",
        engine_version=version("odm-gateway"),
        tasks_at_once=settings.at_once,
        max_images=settings.max_images,
        listing=Listing(loop.tasks),
        look_for_work=loop.wake,
        accounts=_accounts(settings, on),
        public_url=str(settings.public_url) if settings.public_url else None,
        cleanup=settings.cleanup,
        max_open_tasks=settings.max_open_tasks,
        redirects=settings.downloads is Downloads.REDIRECT,
    )


@asynccontextmanager
async def _tapis_callers(settings: Settings, on: Platform) -> AsyncIterator[TapisCallers | None]:
    if not settings.tapis_tokens:
        yield None
        return
    url, tenant = on.settings.tapis_url, on.settings.tapis_tenant
    if url is None or tenant is None:
        raise InvalidInputError(
            "ODM_GATEWAY_TAPIS_TOKENS needs FLIGHTLINE_TAPIS_URL and FLIGHTLINE_TAPIS_TENANT",
            field="tapis_tokens",
        )
    if find_spec("tapipy") is None:
        raise InvalidInputError(
            "What talks to Tapis is not installed: install odm-gateway[tapis]", field="tapis_tokens"
        )
    from odm_gateway.adapters.tapis_callers import open_tapis_callers  # noqa: PLC0415 - heavy, and an extra

    async with open_tapis_callers(url, tenant) as callers:
        yield callers


def _accounts(settings: Settings, on: Platform) -> Accounts | None:
    if not settings.login:
        return None
    return Accounts(
        users=Collection(on.store, USERS, User),
        logins=Collection(on.store, LOGINS, Login),
        lifetime=settings.login_lifetime,
        registration=settings.registration,
    )
