"""``datalab worker``: a process that computes, and serves nothing but its health."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from fastapi import FastAPI

from datalab.collections import OPERATIONS, UPLOADS
from datalab.execution.collections import COLLECTIONS
from datalab.execution.config import ExecutionSettings
from datalab.execution.events import SERVICE
from datalab.execution.opening import SUBSCRIPTIONS, opened_worker
from datalab.operations.registry import Registry
from shared.errors import InvalidInputError
from shared.logging import configure_logging
from shared.platform import Platform, service_platform
from shared.service import Resources, Service, State
from shared.service.application import create_service
from shared.service.serving import run as serve
from shared.settings import PlatformSettings, load

PURPOSE = "Computes what is asked of datalab."

S = TypeVar("S", bound=ExecutionSettings)


def worker_resources(
    settings: ExecutionSettings, registry: Registry, platform: Platform | None = None
) -> Resources:
    """Return what a worker consists of."""

    @asynccontextmanager
    async def opened(service: Service) -> AsyncIterator[State]:
        collections = (*COLLECTIONS, OPERATIONS, UPLOADS)
        async with (
            service_platform(service, platform, SUBSCRIPTIONS, collections) as on,
            opened_worker(settings, on, service, registry),
        ):
            yield {"settings": settings}

    return opened


def create_worker(
    settings: ExecutionSettings, registry: Registry, platform: Platform | None = None
) -> FastAPI:
    """Return the worker with routes for its health and metrics alone."""
    resources = worker_resources(settings, registry, platform)
    return create_service(SERVICE, resources, settings=settings, description=PURPOSE)


def work(settings: type[S], registry: Registry) -> None:
    """Be a worker until SIGTERM; say in a sentence what is wrong with the settings."""
    try:
        platform = load(PlatformSettings)
        configure_logging(SERVICE, log_format=platform.log_format, level=platform.log_level)
        own = load(settings)
        own = own.model_copy(update={"port": own.worker_port})
        serve(create_worker(own, registry), own)
    except InvalidInputError as error:
        sys.exit(f"{SERVICE} worker: {error}")


def run() -> None:
    """Compute datalab's operations until SIGTERM."""
    argparse.ArgumentParser(
        prog="datalab worker",
        description=f"{PURPOSE} Works until SIGTERM or Ctrl-C; serves /healthz, /readyz and /metrics on"
        " DATALAB_WORKER_PORT. `datalab --help` lists what can be set.",
    ).parse_args(sys.argv[2:])
    from datalab.config import Settings  # noqa: PLC0415 - it inherits from what is set here
    from datalab.operations.registry import registry  # noqa: PLC0415

    work(Settings, registry())
