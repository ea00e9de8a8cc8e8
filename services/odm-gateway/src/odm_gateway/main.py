"""The gateway."""

from __future__ import annotations

from functools import cache

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from odm_gateway.config import Settings
from odm_gateway.resources import SERVICE, resources
from odm_gateway.routes import changing, creating, information, pages, uploading
from odm_gateway.routes import tasks as task_routes
from odm_gateway.routes.polled import POLLED
from odm_gateway.wire.answers import unknown_path
from odm_gateway.wire.cors import Cors
from odm_gateway.wire.heads import Heads
from odm_gateway.wire.openapi import described
from odm_gateway.wire.polls import Polls
from shared.platform import Platform
from shared.service.application import create_service
from shared.service.command import start
from shared.settings import load

PURPOSE = "Turns staged images into orthophotos, behind the NodeODM API."


def create_app(settings: Settings | None = None, platform: Platform | None = None) -> FastAPI:
    """Return the gateway; ``platform`` is that of a process that runs several services."""
    settings = settings or load(Settings)
    app = create_service(
        SERVICE,
        resources(settings, platform),
        information.router,
        creating.router,
        uploading.router,
        task_routes.router,
        changing.router,
        pages.router,
        settings=settings,
        description=PURPOSE,
    )
    generated = app.openapi
    app.openapi = cache(lambda: described(generated(), pages.swagger()))  # type: ignore[method-assign] # when asked
    app.add_exception_handler(HTTPException, unknown_path)
    app.add_middleware(Heads)
    app.add_middleware(Cors)
    app.add_middleware(Polls, service=SERVICE, polls=POLLED)
    return app


def run() -> None:
    """Run the service until SIGTERM."""
    start(SERVICE, PURPOSE, Settings, create_app)
