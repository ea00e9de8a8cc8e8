"""A mover on embedded state, and a Nextcloud that it sorts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from mover.config import Settings
from mover.domain.moves import Move, MoveState
from mover.domain.reports import Report
from mover.runs import SCHEDULE_ID, Runs, open_runs
from shared.dav import DavPlace
from shared.settings import PlatformSettings
from shared.state.open import open_store
from tests.support.dav_servers.fixtures import REAL
from tests.support.dav_servers.running import RunningDav, Stored
from tests.support.dav_servers.start import running_dav

ROOT, UNSORTED = "data/AI/organized", "data/AI/_unsorted"
FOLDERS = {"images_root_dir": ROOT, "unsorted_remote_dir": UNSORTED}


@pytest.fixture(
    params=[
        "nextcloud",
        REAL,
    ]
)
def cloud(request: pytest.FixtureRequest) -> Iterator[RunningDav]:
    """Run the simulator, and a real Nextcloud where one is named, with an empty folder of unsorted files."""
    with running_dav(request.param) as server:
        server.stored.put(f"{UNSORTED}/.keep", b"")
        yield server


@dataclass(frozen=True, slots=True)
class Sorting:
    """A mover and what it sorts."""

    cloud: RunningDav
    runs: Runs
    told: list[Move] = field(default_factory=list)

    @property
    def stored(self) -> Stored:
        """Return what lies on the server."""
        return self.cloud.stored

    def put(self, name: str, *tags: str, content: bytes | None = None) -> None:
        """Put a file among the unsorted ones."""
        self.stored.put(f"{UNSORTED}/{name}", content if content is not None else name.encode())
        if tags:
            self.stored.tag(f"{UNSORTED}/{name}", *tags)

    def sorted_names(self) -> set[str]:
        """Return the files in the folders of categories."""
        return self.stored.names(ROOT)

    def unsorted_names(self) -> set[str]:
        """Return the files that lie unsorted."""
        return self.stored.names(UNSORTED) - {".keep"}

    async def run(self) -> Report:
        """Sort once."""
        return await self.runs.now(self.told.append)

    async def lines(self, *states: MoveState) -> list[Move]:
        """Return lines of the journal."""
        found = [document.body for document in (await self.runs.moves.find({}, limit=1000)).items]
        return [line for line in found if not states or line.state in states]

    async def left(self) -> dict[str, str]:
        """Return why files were left, by their names."""
        return {line.name: str(line.why) for line in await self.lines(MoveState.LEFT)}

    async def forget_repair(self) -> None:
        """Make the next run look for stale tags everywhere."""
        await self.runs.schedule.update(
            SCHEDULE_ID, lambda schedule: schedule.model_copy(update={"repaired_at_s": 0.0})
        )


def webdav_settings(place: DavPlace, home: Path, **more: Any) -> PlatformSettings:
    """Return the settings of a process that works on a place."""
    login = {"webdav_username": place.username, "webdav_password": place.password}
    return PlatformSettings(
        **{"home": home, "webdav_url": place.url, "webdav_host_url": place.host_url or None, **login, **more}
    )


@asynccontextmanager
async def opened(
    cloud: RunningDav,
    home: Path,
    *,
    platform: PlatformSettings | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
    **more: Any,
) -> AsyncIterator[Sorting]:
    """Open a mover that keeps its journal in ``home``."""
    platform = platform or webdav_settings(cloud.place, home)
    own = Settings(**{**FOLDERS, "lease": timedelta(seconds=5), **settings, **more})
    async with open_store(platform.state) as store, open_runs(own, platform, store) as runs:
        yield Sorting(cloud, runs)


@pytest.fixture
async def sorting(cloud: RunningDav, tmp_path: Path) -> AsyncIterator[Sorting]:
    """Open a mover that looks for stale tags in the journal alone."""
    async with opened(cloud, tmp_path / "home", repair_every=timedelta()) as sorting:
        yield sorting
