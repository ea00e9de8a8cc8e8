"""One datalab with a worker, an archive behind it, and a server between it and the client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from datalab.operations.color_image import ColorImage
from datalab.operations.median import Median
from datalab.operations.normalization import Normalization
from datalab.operations.registry import AnyOperation, Registry
from datalab.operations.stacking import Stacking
from datalab_client import Datalab
from tests.datalab.client.between import Between, between
from tests.support.archive import ArchiveSimulator, serving_archive
from tests.support.datalab_operations import Sum, Trouble
from tests.support.lab import RunningLab, running_lab
from tests.support.star_fields import star_field, write_banzai

KNOWN = Registry.of(
    Sum, Trouble, *(cast("AnyOperation", one) for one in (Median, Normalization, Stacking, ColorImage))
)
SIDE = 64


@dataclass(frozen=True)
class Place:
    """What there is."""

    folder: Path
    """With the archive's frames."""
    lab: RunningLab
    archive: ArchiveSimulator
    between: Between
    """Result links lead through it; the API is reached directly, and through it, too."""

    def token(self) -> str:
        """Return the token of a new user."""
        return self.lab.user().headers["Authorization"].partition(" ")[2]

    def client(self, *, url: str | None = None, **more: Any) -> Datalab:
        """Return a client of a new user."""
        return Datalab(
            url or self.lab.url, token=self.token(), **{"progress": False, "patience_s": 10, **more}
        )


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run all of it, once for all tests of the client."""
    home = tmp_path_factory.mktemp("client")
    archive = ArchiveSimulator()
    for number in range(3):
        path = home / f"star{number}.fits"
        field = star_field(size=SIDE, stars=5, exposure=number)
        write_banzai(path, field, compress=None, cat=False, bpm=False, err=False)
        archive.add(f"star{number}", path.read_bytes())
        archive.add(f"mrc1-sq005mm-20231114-0001033{number + 2}", path.read_bytes())
        archive.add(f"frame{number}", bytes([number + 1]) * 100)
    with (
        _serving(archive),
        between() as passing,
        running_lab(
            home / "home", known=KNOWN, archive_url=archive.url, workers=1, public_url=passing.url
        ) as lab,
    ):
        passing.target = lab.url
        yield Place(home, lab, archive, passing)


@pytest.fixture
def lab(place: Place) -> Iterator[Datalab]:
    """Return a new user's client, without bars."""
    place.between.forget()
    with place.client() as client:
        yield client


@contextmanager
def _serving(archive: ArchiveSimulator) -> Iterator[None]:
    started: Future[asyncio.AbstractEventLoop] = Future()
    ended = asyncio.Event()

    async def serve() -> None:
        async with serving_archive(archive):
            started.set_result(asyncio.get_running_loop())
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    loop = started.result(30)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)


def local_files(folder: Path, count: int = 2) -> list[Path]:
    """Write FITS files."""
    paths = [folder / f"local-{number}.fits" for number in range(count)]
    for number, path in enumerate(paths):
        field = star_field(size=SIDE, stars=5, exposure=number + 10)
        write_banzai(path, field, compress=None, cat=False, bpm=False, err=False)
    return paths
