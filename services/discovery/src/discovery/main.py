"""The discovery service."""

from __future__ import annotations

from fastapi import FastAPI

from discovery.config import Settings
from discovery.resources import resources
from discovery.routes import ROUTERS
from shared.platform import Platform
from shared.service.application import create_service
from shared.service.command import start
from shared.settings import load

PURPOSE = "Finds flights, announces each version once, and keeps their status."


def create_app(settings: Settings | None = None, platform: Platform | None = None) -> FastAPI:
    """Return the discovery service; ``platform`` is that of a process that runs several services."""
    settings = settings or load(Settings)
    return create_service(
        "discovery",
        resources(settings, platform),
        *ROUTERS,
        settings=settings,
        description=PURPOSE,
    )


def run() -> None:
    """Run the service until SIGTERM."""
    start("discovery", PURPOSE, Settings, create_app)
