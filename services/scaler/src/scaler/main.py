"""The scaler service."""

from __future__ import annotations

from fastapi import FastAPI

from scaler.config import Settings
from scaler.resources import SERVICE, resources
from scaler.routes import ROUTERS
from scaler.webdav.errands import dry_run, list_rejected, once
from shared.platform import Platform
from shared.service.application import create_service
from shared.service.command import Errand, Flag, start
from shared.settings import load

PURPOSE = "Scales images on WebDAV, in the object store and by hand, and loses none."
FLAGS = (Flag("--frequency", "frequency", "DURATION"),)
ERRANDS = (
    Errand("--dry-run", "say what would be done with each file of the raw folder, change nothing", dry_run),
    Errand("--once", "scale what lies in the raw folder of the WebDAV server now, and end", once),
    Errand("--rejected", "list the files that cannot be scaled, with the reasons", list_rejected),
)


def create_app(settings: Settings | None = None, platform: Platform | None = None) -> FastAPI:
    """Return the scaler service; ``platform`` is that of a process that runs several services."""
    settings = settings or load(Settings)
    return create_service(
        SERVICE,
        resources(settings, platform),
        *ROUTERS,
        settings=settings,
        description=PURPOSE,
    )


def run() -> None:
    """Run the service until SIGTERM, or do one thing and end."""
    start(SERVICE, PURPOSE, Settings, create_app, flags=FLAGS, errands=ERRANDS)
