"""WebDAV mode on embedded backends, and what lies on its server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scaler.collections import COLLECTIONS
from scaler.config import Settings
from scaler.domain.asks import Asks, Scaled
from scaler.domain.raw_images import ImageState, RawImage
from scaler.imaging import scale_image
from scaler.webdav.mode import WebdavMode
from scaler.webdav.opening import opened_webdav
from shared.dav import DavPlace
from shared.events import ImageScaled
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform, open_platform
from shared.settings import PlatformSettings
from tests.support.dav_servers.running import RunningDav
from tests.support.listening import TELLING, heard
from tests.support.until import until

RAW, UNSORTED = "data/AI/_raw", "data/AI/_unsorted"
WITHIN_S = 30.0
LOOKED_EVERY = timedelta(milliseconds=100)


@dataclass
class InThreads:
    """Scales pixels as the codecs do, in threads; an image may be held up."""

    held: bytes | None = None
    release: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    scaled: int = 0

    async def scale(self, content: bytes, asks: Asks) -> Scaled:
        """Return the image scaled."""
        if content == self.held:
            self.begun.set()
            await self.release.wait()
        self.scaled += 1
        return await asyncio.to_thread(scale_image, content, asks, pixels_at_most=10**7)


@dataclass(frozen=True)
class Running:
    """The mode at work."""

    mode: WebdavMode
    on: Platform

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something to hold."""
        await until(holds, WITHIN_S)

    async def images(self, *, state: ImageState | None = None) -> list[RawImage]:
        """Return the documents of images."""
        where = {"state": state.value} if state else {}
        return [document.body for document in (await self.mode.images.find(where)).items]

    async def image(self, *, where: Callable[[RawImage], bool]) -> RawImage:
        """Wait for an image, and return it."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                for image in await self.images():
                    if where(image):
                        return image
                await asyncio.sleep(0.02)

    async def told(self) -> list[ImageScaled]:
        """Return what was told."""
        await OutboxRelay(self.on.transport, self.on.store, ["scaler_raw_images"]).flush()
        return [event.data for event in await heard(self.on, ImageScaled)]


def webdav_settings(place: DavPlace, home: Path, **more: Any) -> PlatformSettings:
    """Return settings that name a server."""
    given = {
        "home": home,
        "webdav_url": place.url,
        "webdav_host_url": place.host_url or None,
        "webdav_username": place.username,
        "webdav_password": place.password,
    }
    return PlatformSettings(**{**given, **more})


def scaler_settings(**more: Any) -> Settings:
    """Return settings that name the folders, and look often."""
    given = {
        "port": 0,
        "raw_names_prefixes": ("Unknown",),
        "raw_remote_dir": RAW,
        "unsorted_remote_dir": UNSORTED,
        "frequency": LOOKED_EVERY,
        "at_rest": timedelta(),
    }
    return Settings(**{**given, **more})


@asynccontextmanager
async def opened(
    platform: PlatformSettings, settings: Settings, codecs: InThreads | None = None
) -> AsyncIterator[Running]:
    """Open the mode without running it."""
    async with open_platform(platform, TELLING) as on:
        await on.store.declare(*COLLECTIONS)
        async with opened_webdav(settings, on, codecs or InThreads(), lambda *_: None) as mode:
            yield Running(mode, on)


@asynccontextmanager
async def running(
    platform: PlatformSettings, settings: Settings, codecs: InThreads | None = None
) -> AsyncIterator[Running]:
    """Run the mode until the block ends; what is in hand then is broken off."""
    async with opened(platform, settings, codecs) as one:
        task = asyncio.create_task(one.mode.run())
        try:
            yield one
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()


@asynccontextmanager
async def scaling(
    server: RunningDav,
    home: Path,
    codecs: InThreads | None = None,
    *,
    place: DavPlace | None = None,
    platform: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Running]:
    """Run the mode on a server, or on the place where it is seen through a proxy."""
    given = webdav_settings(place or server.place, home, **(platform or {}))
    async with running(given, scaler_settings(**settings), codecs) as one:
        yield one


def raw(server: RunningDav) -> set[str]:
    """Return the names in the raw folder."""
    return server.stored.names(RAW)


def scaled(server: RunningDav) -> set[str]:
    """Return the names in the unsorted folder."""
    return server.stored.names(UNSORTED)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty data folder."""
    return tmp_path / "home"
