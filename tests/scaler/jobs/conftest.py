"""Scaler on embedded backends, flights that are staged, and somebody who hears what it tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scaler.collections import JOBS, PIECES
from scaler.config import Settings
from scaler.domain.jobs import Job, JobState
from scaler.domain.manifests import Manifest
from scaler.domain.pieces import Piece
from scaler.main import create_app
from scaler.resources import SUBSCRIPTIONS
from shared.events import Event, FlightOptions, ImagesStaged, Scale, new_event
from shared.messaging.codec import encode
from shared.platform import Platform, open_platform
from shared.settings import PlatformSettings
from shared.state import Collection, Order
from tests.support.listening import TELLING, heard

LADDER = (timedelta(milliseconds=100),) * 3


def opened(home: Path, **settings: Any) -> AbstractAsyncContextManager[Platform]:
    """Open embedded backends with queues for what scaler hears and tells."""
    chosen = PlatformSettings(**{"home": home, "retry_ladder": LADDER, **settings})
    return open_platform(chosen, (*SUBSCRIPTIONS, *TELLING))


@dataclass(frozen=True, slots=True)
class Scaler:
    """The documents of scaler, and what lies around it."""

    platform: Platform

    @property
    def jobs(self) -> Collection[Job]:
        """Return the jobs."""
        return Collection(self.platform.store, JOBS, Job)

    @property
    def pieces(self) -> Collection[Piece]:
        """Return the pieces."""
        return Collection(self.platform.store, PIECES, Piece)

    async def tell(self, event: Event[Any]) -> None:
        """Publish an event."""
        await self.platform.transport.publish(encode(event))

    async def scaled(self) -> Event[ImagesStaged]:
        """Return the next ``images-staged`` of images that are scaled."""
        for _ in range(20):
            for event in await heard(self.platform, ImagesStaged, at_least=1):
                if event.data.scale.applied is not None:
                    return event
        raise AssertionError

    async def manifest(self, event: Event[ImagesStaged]) -> Manifest:
        """Return the manifest that an event names."""
        assert event.data.manifest is not None
        objects = self.platform.objects
        return Manifest.model_validate_json(await objects.read(objects.key(event.data.manifest)))

    async def job(self, *states: JobState, within_s: float = 30) -> Job:
        """Return the only job once it is in one of the ``states``."""
        async with asyncio.timeout(within_s):
            while True:
                for document in (await self.jobs.find({})).items:
                    if document.body.state in states:
                        return document.body
                await asyncio.sleep(0.02)

    async def paths(self, job_id: str) -> list[str]:
        """Return the paths of all images of a job that have an outcome."""
        found = [document.body async for document in self.pieces.each({"job": job_id}, order=Order("number"))]
        return [outcome.path for piece in found for outcome in piece.outcomes]


@asynccontextmanager
async def running_scaler(platform: Platform, **settings: Any) -> AsyncIterator[Scaler]:
    """Run scaler without HTTP."""
    app = create_app(Settings(**settings), platform)
    async with app.router.lifespan_context(app):
        yield Scaler(platform)


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """Embedded backends in an empty folder."""
    async with opened(tmp_path / "home") as platform:
        yield platform


async def stage(
    on: Platform,
    images: Mapping[str, bytes],
    *,
    sidecars: Mapping[str, bytes] | None = None,
    rejected: tuple[dict[str, str], ...] = (),
    flight: str = "f",
    scale: float | None = 2.0,
    rerun: int = 0,
    **more: Any,
) -> Event[ImagesStaged]:
    """Put a flight into the object store as ingest does, and return what ingest tells of it."""
    base = f"staging/{flight}/1"
    listed: dict[str, Any] = {"flight_id": flight, "version": "1", "rejected": rejected}
    for kind, files in (("images", images), ("sidecars", sidecars or {})):
        listed[kind] = []
        for path, content in files.items():
            stored = await on.objects.put(f"{base}/files/{path}", content)
            file = {"path": path, "key": stored.key, "size_bytes": len(content), "sha256": stored.sha256}
            listed[kind].append(file)
    await on.objects.put(f"{base}/manifest.json", json.dumps(listed).encode())
    facts = {
        "flight_id": flight,
        "version": "1",
        "name": "meadow",
        "prefix": on.objects.uri(f"{base}/files"),
        "manifest": on.objects.uri(f"{base}/manifest.json"),
        "image_count": len(images),
        "total_bytes": sum(map(len, images.values())),
        "scale": Scale(requested=scale),
        "options": FlightOptions(scale=scale),
        "rerun": rerun,
        **more,
    }
    return new_event("flightline/ingest", ImagesStaged.model_validate(facts))
