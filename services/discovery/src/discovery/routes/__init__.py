"""What discovery answers over HTTP, by topic."""

from __future__ import annotations

from discovery.routes import (
    events,
    flights,
    internal,
    notices,
    preferences,
    tapis_device,
    tapis_oauth,
    tapis_storage,
)
from discovery.routes.progress import router as progress

ROUTERS = (
    progress,
    flights.router,
    events.router,
    tapis_oauth.router,
    tapis_device.router,
    tapis_storage.router,
    preferences.router,
    notices.router,
    internal.router,
)
