"""Opens WebDAV mode with what it stands on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog

from scaler.collections import RAW_IMAGES, SWITCHES
from scaler.config import Settings
from scaler.domain.raw_images import RawImage
from scaler.loops import forget_expired
from scaler.ports import ScalesImages
from scaler.webdav.mode import Switch, WebdavMode
from scaler.webdav.plan import Plans
from shared.constants import open_constants
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform
from shared.service import Service
from shared.state import Collection
from shared.state.documents import Wake
from shared.state.owner import process_owner

log = structlog.get_logger(__name__)


@asynccontextmanager
async def opened_webdav(
    settings: Settings, on: Platform, codecs: ScalesImages, wake: Wake
) -> AsyncIterator[WebdavMode]:
    """Open the mode; it does nothing before it is run.

    Args:
        settings: Scaler's own.
        on: The backends.
        codecs: Scale pixels.
        wake: Called when an event waits to be told.
    """
    async with open_constants(on.settings) as constants:
        yield WebdavMode(
            settings=settings,
            plans=Plans(settings, on.settings, constants),
            codecs=codecs,
            images=Collection(on.store, RAW_IMAGES, RawImage, wake=wake),
            switches=Collection(on.store, SWITCHES, Switch),
            owner=process_owner(),
        )


def run_webdav(service: Service, mode: WebdavMode, relay: OutboxRelay) -> None:
    """Run the mode from the start of the service to its end, when what was finished last is told."""
    mode.ending = service.draining
    service.background("webdav", mode.run)
    service.background("forget", partial(forget_expired, mode.images))
    service.on_drain(mode.stop)
    service.on_drain(relay.flush)
