"""The HTTP application of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from shared.service import health
from shared.service.faults import RESPONSES, add_error_answers
from shared.service.requests import Requests
from shared.service.running import Resources, State, running
from shared.settings import ServiceSettings


def create_service(
    name: str, resources: Resources, *routers: APIRouter, settings: ServiceSettings, description: str = ""
) -> FastAPI:
    """Return a service ready for ``serving`` or any ASGI server.

    Args:
        name: Its name in logs, metrics and queues.
        resources: What it consists of.
        routers: The HTTP interface.
        settings: Host, port, token and grace period.
        description: Of the service, for its API page.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with running(name, resources, settings) as (service, state):
            app.state.service = service
            yield dict(state)

    app = FastAPI(title=name, description=description, lifespan=lifespan, responses=RESPONSES)
    app.include_router(health.router)
    for router in routers:
        app.include_router(router)
    add_error_answers(app)
    app.add_middleware(Requests, service=name)
    return app
