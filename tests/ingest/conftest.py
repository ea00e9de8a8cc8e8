"""Ingest on embedded backends, with somebody who hears what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.collections import JOURNAL, TRANSFERS
from ingest.config import Settings
from ingest.domain.manifest import Manifest
from ingest.domain.transfers import FileRecord, Transfer
from ingest.main import create_app
from ingest.resources import SUBSCRIPTIONS
from shared.events import Event, FlightFound, ImagesStaged, new_event
from shared.messaging.codec import encode
from shared.platform import Platform, open_platform
from shared.settings import PlatformSettings
from shared.sources import flight_id, read_flight
from shared.sources.folder import FolderSource
from shared.state import Collection
from tests.support.listening import TELLING, heard

JPEG = b"\xff\xd8\xff\xe0\x00\x02 no real image \xff\xd9"
LADDER = (timedelta(milliseconds=100),) * 3


def opened(home: Path, **settings: Any) -> AbstractAsyncContextManager[Platform]:
    """Open embedded backends with queues for what ingest hears and tells."""
    chosen = PlatformSettings(**{"home": home, "retry_ladder": LADDER, **settings})
    return open_platform(chosen, (*SUBSCRIPTIONS, *TELLING))


@dataclass(frozen=True, slots=True)
class Ingest:
    """A running ingest and its documents."""

    platform: Platform

    @property
    def transfers(self) -> Collection[Transfer]:
        """Return the transfers."""
        return Collection(self.platform.store, TRANSFERS, Transfer)

    @property
    def journal(self) -> Collection[FileRecord]:
        """Return the journal."""
        return Collection(self.platform.store, JOURNAL, FileRecord)

    async def tell(self, event: Event[FlightFound]) -> None:
        """Publish an event."""
        await self.platform.transport.publish(encode(event))

    async def staged(self) -> Event[ImagesStaged]:
        """Return the next ``images-staged``."""
        (event,) = await heard(self.platform, ImagesStaged, at_least=1)
        return event

    async def manifest(self, event: Event[ImagesStaged]) -> Manifest:
        """Return the manifest that an event names."""
        assert event.data.manifest is not None
        objects = self.platform.objects
        return Manifest.model_validate_json(await objects.read(objects.key(event.data.manifest)))

    async def transfer(self, *, where: str, within_s: float = 15) -> Transfer:
        """Return the only transfer once the text ``where`` is in its state or error."""
        async with asyncio.timeout(within_s):
            while True:
                for document in (await self.transfers.find({})).items:
                    if where in f"{document.body.state} {document.body.error}":
                        return document.body
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running_ingest(platform: Platform, **settings: Any) -> AsyncIterator[Ingest]:
    """Run ingest without HTTP."""
    app = create_app(Settings(**settings), platform)
    async with app.router.lifespan_context(app):
        yield Ingest(platform)


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """Embedded backends in an empty folder."""
    async with opened(tmp_path / "home") as platform:
        yield platform


@pytest.fixture
async def ingest(platform: Platform) -> AsyncIterator[Ingest]:
    """Run ingest."""
    async with running_ingest(platform) as running:
        yield running


@pytest.fixture
def flight(tmp_path: Path) -> Path:
    """Folder of a flight of three images."""
    folder = tmp_path / "meadow"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(JPEG + bytes([number]))
    return folder


async def found_by_discovery(folder: Path, **more: Any) -> Event[FlightFound]:
    """Return what discovery tells of a folder."""
    source = FolderSource(folder)
    files = await read_flight(source, "")
    facts = {
        "flight_id": flight_id(source, ""),
        "version": files.version,
        "name": folder.name,
        "source": source.uri,
        "image_count": len(files.images),
        "total_bytes": files.total_bytes,
        **more,
    }
    return new_event("flightline/discovery", FlightFound.model_validate(facts))


def found_outside(folder: Path, **more: Any) -> Event[FlightFound]:
    """Return what an outside system tells of a folder, with a version of its own."""
    facts = {"flight_id": "outside", "version": "1", "name": "n", "source": folder.as_uri(), "image_count": 1}
    return new_event("elsewhere", FlightFound.model_validate({**facts, "total_bytes": 1, **more}))
