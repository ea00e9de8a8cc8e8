"""Discovery on embedded backends, in code and over HTTP, with somebody who hears what it tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from discovery.collections import FLIGHTS
from discovery.config import Settings
from discovery.domain.flights import Flight
from discovery.finder import Finder
from discovery.main import create_app
from discovery.resources import SUBSCRIPTIONS
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform, open_platform
from shared.service.serving import serving
from shared.settings import PlatformSettings
from shared.sources import open_sources
from shared.state import Collection
from tests.support.listening import TELLING

JPEG = b"\xff\xd8\xff\xe0 no real image \xff\xd9"
SETTLE = timedelta(milliseconds=50)


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """Embedded backends with queues for what discovery hears and tells."""
    async with open_platform(PlatformSettings(home=tmp_path / "home"), (*SUBSCRIPTIONS, *TELLING)) as opened:
        await opened.store.declare(FLIGHTS)
        yield opened


@pytest.fixture
async def finder(platform: Platform) -> AsyncIterator[Finder]:
    """A finder that needs no service around it."""
    async with open_sources(platform.settings) as sources:
        yield Finder(Collection(platform.store, FLIGHTS, Flight), sources, SETTLE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Folder of two flights of two images each."""
    for name in ("east", "west"):
        images = tmp_path / "root" / name / "code" / "images"
        images.mkdir(parents=True)
        for number in range(2):
            (images / f"{number}.jpg").write_bytes(JPEG + name.encode())
    return tmp_path / "root"


async def relayed(platform: Platform) -> None:
    """Publish what waits in the outboxes."""
    await OutboxRelay(platform.transport, platform.store, [FLIGHTS.name]).flush()


@dataclass(frozen=True, slots=True)
class DiscoveryClient:
    """A client of the service."""

    http: httpx.AsyncClient
    platform: Platform


@asynccontextmanager
async def running_discovery(platform: Platform, **settings: Any) -> AsyncIterator[DiscoveryClient]:
    """Run discovery on a free port."""
    chosen = Settings(**{"port": 0, "settle": SETTLE, **settings})
    async with (
        serving(create_app(chosen, platform), chosen) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as http,
    ):
        yield DiscoveryClient(http, platform)


@pytest.fixture
async def discovery(platform: Platform) -> AsyncIterator[DiscoveryClient]:
    """Run discovery without roots and without a token."""
    async with running_discovery(platform) as client:
        yield client
