"""The mover service."""

from __future__ import annotations

from fastapi import FastAPI

from mover.config import Settings
from mover.errands import move_once, tell_plan
from mover.resources import SERVICE, resources
from mover.routes import ROUTERS
from shared.platform import Platform
from shared.service.application import create_service
from shared.service.command import Errand, Flag, start
from shared.settings import load

PURPOSE = "Moves images into the folders that their Nextcloud tags name, and loses none."
FLAGS = (Flag("--frequency", "frequency", "SECONDS"),)
ERRANDS = (
    Errand("--dry-run", "tell what would be moved where, change nothing, and end", tell_plan),
    Errand("--once", "move what is tagged now, and end", move_once),
)


def create_app(settings: Settings | None = None, platform: Platform | None = None) -> FastAPI:
    """Return the mover service; ``platform`` is that of a process that runs several services."""
    settings = settings or load(Settings)
    return create_service(
        SERVICE, resources(settings, platform), *ROUTERS, settings=settings, description=PURPOSE
    )


def run() -> None:
    """Run the service until SIGTERM, or do one thing and end."""
    start(SERVICE, PURPOSE, Settings, create_app, flags=FLAGS, errands=ERRANDS)
