"""What was interrupted goes on where it was, in another process, without doing anything again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ingest.collections import JOURNAL, TRANSFERS
from ingest.copying import Copier
from ingest.domain.transfers import FileRecord, Staged, Transfer
from ingest.files import Rules
from ingest.limits import Limits
from ingest.tally import Tally
from shared.budget import Budget
from shared.platform import Platform
from shared.sources import Sources, open_sources
from shared.state import Collection
from tests.ingest.conftest import JPEG, Ingest, found_by_discovery, found_outside, opened, running_ingest
from tests.ingest.test_staging import images_in, tamper
from tests.support.columns import Column


def fill(folder: Path, count: int, *, first: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        (folder / f"{number:05}.jpg").write_bytes(JPEG + str(number).encode())


@contextmanager
def ingest_process(home: Path) -> Iterator[int]:
    """Run the service as a process of its own, which dies of SIGKILL."""
    column = Column(home, command="ingest", own={"INGEST_PORT": "0", "INGEST_LEASE": "10m"})
    with column.running() as process:
        yield process.pid


async def journalled(on: Platform, at_least: int) -> dict[str, int]:
    """Wait for lines in the journal; return their revisions."""
    await on.store.declare(TRANSFERS, JOURNAL)
    journal = Collection(on.store, JOURNAL, FileRecord)
    async with asyncio.timeout(30):
        while True:
            lines = (await journal.find({}, limit=1000)).items
            if len(lines) >= at_least:
                return {line.body.path: line.record.revision for line in lines}
            await asyncio.sleep(0.02)


async def test_a_killed_process_is_succeeded_at_once_and_nothing_is_copied_twice(tmp_path: Path) -> None:
    fill(tmp_path / "meadow", 400)
    async with opened(tmp_path / "home") as on:
        ask = await found_by_discovery(tmp_path / "meadow")
        await Ingest(on).tell(ask)
        with ingest_process(tmp_path / "home"):
            await journalled(on, at_least=20)
        done = await journalled(on, at_least=20)
        for path in done:
            tamper(tmp_path / "meadow" / path)
        before = {path: await kept_hash(on, ask.data.flight_id, ask.data.version, path) for path in done}
        began = time.monotonic()
        async with running_ingest(on, lease=timedelta(minutes=10)) as ingest:
            manifest = await ingest.manifest(await ingest.staged())

    assert len(done) < len(manifest.images) == 400
    assert {file.path: file.sha256 for file in manifest.images if file.path in done} == before
    assert time.monotonic() - began < 90  # and not after the lease's ten minutes


async def kept_hash(on: Platform, flight: str, version: str, path: str) -> str | None:
    stored = await on.objects.stat(f"staging/{flight}/{version}/files/{path}")
    assert stored is not None
    return stored.sha256


@pytest.mark.parametrize("half", [250, pytest.param(1000, marks=pytest.mark.long)])
async def test_a_flight_that_doubled_resumes_without_reading_a_file_again(tmp_path: Path, half: int) -> None:
    folder = tmp_path / "meadow"
    fill(folder, half)
    counts: list[int] = []
    async with opened(tmp_path / "home") as on, open_sources(on.settings) as sources:
        await on.store.declare(TRANSFERS, JOURNAL)
        copier = copier_on(on, sources)
        ask = found_outside(folder)
        transfer = Transfer(asks=(ask,), created_at=ask.time, updated_at=ask.time)
        await copied(copier, transfer, counts)
        for image in images_in(folder):
            tamper(image)
        fill(folder, half, first=half)
        counts.clear()
        staged = await copied(copier, transfer, counts)
        first = await kept_hash(on, "outside", "1", "00000.jpg")

    assert (counts[0], len(counts), staged.image_count) == (half, half + 1, 2 * half)
    assert first == sha256(JPEG + b"0").hexdigest()


def copier_on(on: Platform, sources: Sources, **rules: Any) -> Copier:
    """Return a copier that nobody's loop runs."""
    transfers, lines = Collection(on.store, TRANSFERS, Transfer), Collection(on.store, JOURNAL, FileRecord)
    return Copier(sources, on.objects, transfers, lines, Limits(8, Budget(64 << 20)), Rules(**rules))


async def copied(copier: Copier, transfer: Transfer, counts: list[int]) -> Staged:
    tally = Tally()

    async def counted() -> None:
        counts.append(tally.amounts.files_done)

    return await copier.copy(transfer, tally, counted)
