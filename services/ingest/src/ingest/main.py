"""The ingest service."""

from __future__ import annotations

from fastapi import FastAPI

from ingest.config import Settings
from ingest.resources import resources
from ingest.routes import ROUTERS
from shared.platform import Platform
from shared.service.application import create_service
from shared.service.command import start
from shared.settings import load

PURPOSE = "Copies the images of flights into the object store, verified."


def create_app(settings: Settings | None = None, platform: Platform | None = None) -> FastAPI:
    """Return the ingest service; ``platform`` is that of a process that runs several services."""
    settings = settings or load(Settings)
    return create_service(
        "ingest",
        resources(settings, platform),
        *ROUTERS,
        settings=settings,
        description=PURPOSE,
    )


def run() -> None:
    """Run the service until SIGTERM."""
    start("ingest", PURPOSE, Settings, create_app)
