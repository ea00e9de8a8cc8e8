"""Projects on one platform and at one WebODM, with short waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr
from typing_extensions import override

from discovery.adapters.webodm import WebODM, open_webodm
from discovery.adapters.webodm_session import Timeouts
from discovery.collections import COUNTERS, FLIGHTS, PROJECTS
from discovery.domain.flights import Flight, Listing
from discovery.domain.projects import (
    Counter,
    DeliveryState,
    Mode,
    Project,
)
from discovery.project_deliveries import Deliveries
from discovery.project_keeping import Keeper
from discovery.projects import Projects
from shared.events import ImagesStaged
from shared.messaging.background import background
from shared.objects.file import FileObjects
from shared.objects.port import Shown
from shared.platform import Platform
from shared.state import Collection
from shared.state.work import WorkQueue
from tests.support.webodm import WebODMServer

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
QUICK = Timeouts(connect_s=5, answer_s=1, stalled_s=5)
LADDER = (timedelta(milliseconds=50), timedelta(milliseconds=200))


def flight(name: str = "Flight1", system_id: str = "ptdatax.project.PTDATAX-225", **fields: Any) -> Flight:
    path = f"tapis://{system_id}/{name}"
    listing = Listing(version="v1", seen_at=NOW, image_count=3, total_bytes=9)
    known = {"flight_id": f"id-{name}".replace(" ", "-"), "source": path, "images_path": "code/images"}
    return Flight(
        **{**known, "name": name, "system_id": system_id, "listing": listing, "created_at": NOW}
        | {"updated_at": NOW, **fields}
    )


async def looked(known: Flight) -> Flight:
    return known


@dataclass
class Bench:
    """Projects on one platform, at one WebODM."""

    platform: Platform
    server: WebODMServer
    projects: Projects
    keeper: Keeper
    queue: WorkQueue[Project]

    async def project(self, key: str, reached: Callable[[Project], bool], within_s: float = 30) -> Project:
        """Return a project once it is as it should be."""
        async with asyncio.timeout(within_s):
            while True:
                document = await self.keeper.projects.get(key)
                if document and reached(document.body):
                    return document.body
                await asyncio.sleep(0.02)

    async def delivered(self, key: str, state: DeliveryState = DeliveryState.DONE) -> Project:
        return await self.project(
            key, lambda one: bool(one.deliveries) and all(each.state is state for each in one.deliveries)
        )

    async def missed(self, key: str) -> None:
        """Have a project looked at now."""
        await self.keeper.projects.update(key, lambda one: one.model_copy(update={"due_s": 0.0}))
        self.queue.wake()


class Presigning(FileObjects):
    """A store whose objects have URLs."""

    url = ""

    @override
    async def presign(self, key: str, *, expires: timedelta, shown: Shown | None = None) -> str:
        return f"{self.url}/{key}?X-Amz-Signature=5ec7e7"


def made_projects(on: Platform, mode: Mode, wake: Callable[[], None] = lambda: None) -> Projects:
    return Projects(
        Collection(on.store, PROJECTS, Project),
        Collection(on.store, COUNTERS, Counter),
        Collection(on.store, FLIGHTS, Flight),
        mode,
        looked,
        wake,
        patience=timedelta(seconds=10),
        trusted_for=timedelta(),
    )


@asynccontextmanager
async def bench(
    on: Platform, server: WebODMServer, mode: Mode = "webodm", **keeping: Any
) -> AsyncIterator[Bench]:
    await on.store.declare(PROJECTS, COUNTERS, FLIGHTS)
    async with open_webodm(server.url, "pilot", SecretStr("pilot's"), timeouts=QUICK) as webodm:
        held = Bench(on, server, *parts(on, webodm, mode, **keeping))
        async with background(held.queue.run(held.keeper.attend)):
            yield held


def parts(
    on: Platform, webodm: WebODM, mode: Mode, gateway_url: str | None = None, **keeping: Any
) -> tuple[Projects, Keeper, WorkQueue[Project]]:
    times = {"poll": timedelta(milliseconds=50), "confirm": timedelta(milliseconds=50)} | keeping
    keeper = Keeper(
        Collection(on.store, PROJECTS, Project),
        webodm,
        Deliveries(webodm, on.objects, gateway_url),
        ladder=LADDER,
        **times,
    )
    queue = keeper.queue()
    return made_projects(on, mode, queue.wake), keeper, queue


async def staged(on: Platform, known: Flight, files: dict[str, bytes], **fields: Any) -> ImagesStaged:
    """Put files where ingest would, with a manifest."""
    prefix = f"flights/{known.flight_id}/input"
    rows = []
    for path, content in files.items():
        await on.objects.put(f"{prefix}/{path}", content)
        rows.append({"path": path, "key": f"{prefix}/{path}", "size_bytes": len(content), "sha256": "0" * 64})
    manifest = {"images": [row for row in rows if not str(row["path"]).endswith(".txt")]}
    manifest["sidecars"] = [row for row in rows if row not in manifest["images"]]

    await on.objects.put(f"{prefix}/manifest.json", json.dumps(manifest).encode())
    return ImagesStaged(
        flight_id=known.flight_id,
        version="v1",
        prefix=on.objects.uri(prefix),
        manifest=on.objects.uri(f"{prefix}/manifest.json"),
        image_count=len(manifest["images"]),
        total_bytes=sum(map(len, files.values())),
        **fields,
    )


def images(count: int) -> dict[str, bytes]:
    return {f"code/images/{number:03}.jpg": b"jpeg%d" % number * 100 for number in range(count)}


async def known_flight(on: Platform, **fields: Any) -> Flight:
    known = flight(**fields)
    await on.store.declare(FLIGHTS)
    await Collection(on.store, FLIGHTS, Flight).ensure(known.flight_id, known)
    return known
