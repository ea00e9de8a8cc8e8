"""The datalab service."""

from __future__ import annotations

import gc
import sys

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from datalab.config import Settings
from datalab.operations.registry import Registry
from datalab.resources import SERVICE, resources
from datalab.routes import ROUTERS
from datalab.wire.errors import add_error_answers
from datalab.wire.slashes import Slashes
from shared.platform import Platform
from shared.service.application import create_service
from shared.service.command import start
from shared.settings import load

PURPOSE = "Data sessions, and operations on FITS images in them."
COMMANDS = "Other commands: datalab worker, users, tokens, sessions, populate-test-data; each knows --help."
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
HEADERS = ("authorization", "content-type", "range", "if-range")
READ_HEADERS = ("content-range", "accept-ranges", "etag")
COLLECTED_AFTER = 50_000
"""New objects before they are looked through for garbage: a list of sessions makes more, and needs them all
until it is answered; looking again and again took a quarter of its time."""


def create_app(
    settings: Settings | None = None, platform: Platform | None = None, known: Registry | None = None
) -> FastAPI:
    """Return datalab.

    Args:
        settings: Its own; None: those of the environment.
        platform: That of a process that runs several services.
        known: The operations that there are; None: those of the package.
    """
    settings = settings or load(Settings)
    app = create_service(
        SERVICE, resources(settings, platform, known), *ROUTERS, settings=settings, description=PURPOSE
    )
    add_error_answers(app)
    app.router.redirect_slashes = False
    app.add_middleware(Slashes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=METHODS,
            allow_headers=HEADERS,
            expose_headers=READ_HEADERS,
        )
    return app


def run() -> None:
    """Run the service until SIGTERM, or do what the command line says."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "worker":
        from datalab.execution.worker_command import run as run_worker  # noqa: PLC0415

        run_worker()
        return
    if command and not command.startswith("-"):
        from datalab.administering.command import administer  # noqa: PLC0415 - serving needs none of it

        sys.exit(administer(sys.argv[1:]))
    gc.set_threshold(COLLECTED_AFTER)
    start(SERVICE, f"{PURPOSE} {COMMANDS}", Settings, create_app)
