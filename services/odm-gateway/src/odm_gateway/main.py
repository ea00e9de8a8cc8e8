"""Put odm-gateway together."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from odm_gateway.adapters.console_log import CONSOLE, ConsoleChunk, ConsoleLog
from odm_gateway.adapters.local_engine import LocalEngine
from odm_gateway.adapters.simulated_engine import SimulatedEngine
from odm_gateway.adapters.spare_worker import SpareWorker
from odm_gateway.config import EngineKind, Settings
from odm_gateway.domain.options import OptionTable
from odm_gateway.domain.tasks import Task
from odm_gateway.handlers import start_task
from odm_gateway.loops import OPEN_STATUS, TASKS, TaskLoop
from odm_gateway.node import Node
from odm_gateway.ports import Engine
from odm_gateway.routes import changing, creating, information
from odm_gateway.routes import tasks as task_routes
from odm_gateway.wire.answers import unknown_path
from odm_gateway.wire.cors import Cors
from odm_gateway.wire.host import HostFacts
from shared.errors import InvalidInputError
from shared.events import ImagesStaged
from shared.logging import configure_logging
from shared.messaging.bus import Bus
from shared.messaging.port import Subscription
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform, messaging, service_platform
from shared.service import Service, State, create_service
from shared.service import run as serve
from shared.settings import load
from shared.state import Collection
from shared.state.owner import process_owner

SERVICE = "odm-gateway"
SUBSCRIPTIONS = (Subscription(SERVICE, ImagesStaged.type),)


def create_app(
    settings: Settings | None = None, platform: Platform | None = None, spare: SpareWorker | None = None
) -> FastAPI:
    """Return the gateway.

    Args:
        settings: Those of the gateway; None: read from ``ODM_GATEWAY_*``.
        platform: That of a process that runs several services.
        spare: May have been started before everything else.
    """
    settings = settings or load(Settings)
    table = OptionTable.parse(
        files("odm_gateway").joinpath("odm-options.json").read_text("utf-8"),
        host_cores=os.cpu_count() or 1,
        cores_per_task=settings.cores_per_task,
    )

    @asynccontextmanager
    async def resources(service: Service) -> AsyncIterator[State]:
        async with service_platform(service, platform, SUBSCRIPTIONS, (TASKS, CONSOLE)) as on:
            relay = OutboxRelay(on.transport, on.store, [TASKS.name])
            tasks = Collection(on.store, TASKS, Task, wake=relay.wake)
            bus = on.bus(SERVICE)
            loop = _task_loop(
                settings, on, bus, tasks, _engine(settings, on, service, spare or SpareWorker())
            )
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
            service.background("tasks", loop.run)
            service.background("tidy", loop.tidy)
            async with messaging(service, bus, consumer, relay):
                yield {"node": _node(settings, on, table, loop)}

    app = create_service(
        SERVICE,
        resources,
        information.router,
        creating.router,
        task_routes.router,
        changing.router,
        settings=settings,
        description="Turns staged images into orthophotos, behind the NodeODM API.",
    )
    app.add_exception_handler(HTTPException, unknown_path)
    app.add_middleware(Cors)
    return app


def _engine(settings: Settings, on: Platform, service: Service, spare: SpareWorker) -> Engine:
    match settings.engine:
        case EngineKind.LOCAL:
            if find_spec("rasterio") is None:
                raise InvalidInputError(
                    "The built-in engine is not installed: install odm-gateway[local], or set"
                    " ODM_GATEWAY_ENGINE=simulate",
                    field="engine",
                )
            service.background("spare worker", spare.keep)
            return LocalEngine(on.objects, settings.work_dir or on.settings.home / "work", spare=spare)
        case EngineKind.SIMULATE:
            return SimulatedEngine(on.objects)


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
        at_once=settings.tasks_at_once,
        max_images=settings.max_images,
        retry_after=on.settings.retry_ladder,
    )


def _node(settings: Settings, on: Platform, table: OptionTable, loop: TaskLoop) -> Node:
    return Node(
        tasks=loop.tasks,
        console=loop.console,
        objects=on.objects,
        options=table,
        keyring=settings.keyring,
        host=HostFacts(lambda: loop.tasks.count({"status": OPEN_STATUS})),
        engine="flightline",
        engine_version=version("odm-gateway"),
        tasks_at_once=settings.tasks_at_once,
        max_images=settings.max_images,
        wake=loop.wake,
    )


def run() -> None:
    """Run the service until SIGTERM."""
    settings = load(Settings)
    configure_logging(SERVICE)
    serve(create_app(settings), settings)
