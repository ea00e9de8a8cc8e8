"""A source whose every failure is written down beforehand, and a copier that reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from ingest.collections import JOURNAL, TRANSFERS
from ingest.copying import Copier
from ingest.domain.manifest import Manifest
from ingest.domain.transfers import FileRecord, Staged, Transfer, transfer_id
from ingest.files import Rules
from ingest.limits import Limits
from ingest.tally import Tally
from shared.budget import Budget
from shared.errors import NotFoundError, TransientError
from shared.events import FlightFound, new_event
from shared.objects.port import ObjectStore, StoredObject
from shared.platform import Platform
from shared.sources import Entry, Folder, Source
from shared.sources.port import Capabilities, whole
from shared.state import Collection

MIB = 1 << 20

Failing = Callable[[Entry, int], Exception | None]
"""The error with which reading a file ends behind so many bytes, or None."""


def jpeg(text: str = "", size_bytes: int = 0) -> bytes:
    """Return a file that begins and ends like a photograph."""
    head, end = b"\xff\xd8\xff\xe0\x00\x02" + text.encode(), b"\xff\xd9"
    return head + b"." * (size_bytes - len(head) - len(end)) + end


@dataclass
class ScriptedSource:
    """Files in memory, below one folder."""

    files: dict[str, bytes] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    """What the source claims of its files."""
    failing: Failing = lambda _entry, _passed: None
    """Asked before each MiB."""
    ranges: bool = True
    system_id: str = "disk"
    listings: int = 0
    opened: Counter[str] = field(default_factory=Counter)
    read_bytes: Counter[str] = field(default_factory=Counter)
    uri: str = "test://disk"
    path: str = ""
    tenant: str = ""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(self.ranges, 8)

    async def folder(self, path: str = "") -> Folder:
        self.listings += 1
        if path:
            raise NotFoundError("there is one folder only")
        return Folder(tuple(self.entry(name) for name in sorted(self.files)))

    def entry(self, name: str) -> Entry:
        token = self.tokens.get(name, "1")
        return Entry(name, len(self.files[name]), token, self.hashes.get(name))

    @asynccontextmanager
    async def open(self, entry: Entry, offset_bytes: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        self.opened[entry.path] += 1
        yield whole(self._chunks(entry, offset_bytes), entry, offset_bytes)

    def local_path(self, entry: Entry) -> Path | None:
        del entry
        return None

    async def server_copy(self, entry: Entry, objects: ObjectStore, key: str) -> StoredObject | None:
        del entry, objects, key
        return None

    async def _chunks(self, entry: Entry, offset_bytes: int) -> AsyncIterator[bytes]:
        content = self.files[entry.path]
        for start in range(offset_bytes, max(len(content), 1), MIB):
            if error := self.failing(entry, start):
                raise error
            chunk = content[start : start + MIB]
            self.read_bytes[entry.path] += len(chunk)
            yield chunk


@dataclass(frozen=True, slots=True)
class OneSource:
    """Opens one source, whatever it is asked for."""

    source: Source

    async def at(self, uri: str, owner: str = "") -> Source:
        del uri, owner
        return self.source


@dataclass
class Copying:
    """Copies flights of one source, and looks at what came of it."""

    on: Platform
    source: ScriptedSource
    rules: dict[str, Any] = field(default_factory=dict)
    budget: Budget = field(default_factory=lambda: Budget(64 * MIB))
    files_at_once: int = 4
    tally: Tally = field(default_factory=Tally)

    @property
    def lines(self) -> Collection[FileRecord]:
        return Collection(self.on.store, JOURNAL, FileRecord)

    @property
    def transfers(self) -> Collection[Transfer]:
        return Collection(self.on.store, TRANSFERS, Transfer)

    @property
    def copier(self) -> Copier:
        limits = Limits(self.files_at_once, self.budget)
        return Copier(
            OneSource(self.source), self.on.objects, self.transfers, self.lines, limits, Rules(**self.rules)
        )

    async def run(self, version: str = "1", *, is_last: bool = False, **flight: Any) -> Staged:
        """Copy a version of the flight, once."""
        await self.on.store.declare(TRANSFERS, JOURNAL)
        transfer = await self.transfer(version, **flight)
        self.tally = Tally()
        return await self.copier.copy(transfer, self.tally, _counted, is_last=is_last)

    async def transfer(self, version: str, **flight: Any) -> Transfer:
        """Return the transfer of a version, which is written down."""
        facts = {"flight_id": "f", "version": version, "name": "f", "source": "test://disk", **flight}
        ask = new_event(
            "elsewhere", FlightFound.model_validate({"image_count": 1, "total_bytes": 1, **facts})
        )
        new = Transfer(asks=(ask,), created_at=ask.time, updated_at=ask.time)
        return (await self.transfers.ensure(transfer_id(ask.data), new))[0].body

    async def manifest(self, staged: Staged) -> Manifest:
        """Return the manifest of what was staged."""
        objects = self.on.objects
        return Manifest.model_validate_json(await objects.read(objects.key(staged.manifest)))

    async def contents(self, staged: Staged) -> dict[str, bytes]:
        """Return what is staged, by path."""
        manifest = await self.manifest(staged)
        files = (*manifest.images, *manifest.sidecars)
        return {file.path: await self.on.objects.read(file.key) for file in files}

    async def left_out(self, staged: Staged) -> dict[str, str]:
        """Return the kinds of what was left out, by path."""
        return {file.path: file.kind.value for file in (await self.manifest(staged)).rejected}


async def _counted() -> None:
    """Hear of a finished file."""


def always(error: Exception, *names: str) -> Failing:
    """Fail for these files, or for all."""
    return lambda entry, _passed: error if not names or entry.path in names else None


@dataclass
class Sometimes:
    """Fails so many times, and then no more."""

    error: Exception
    times: int
    behind_bytes: int = 0

    def __call__(self, entry: Entry, passed: int) -> Exception | None:
        del entry
        if passed < self.behind_bytes or self.times <= 0:
            return None
        self.times -= 1
        return self.error


def busy(wait_s: float | None = None) -> TransientError:
    """Return what a source says that is asked for too much."""
    return TransientError("too many requests", retry_after=timedelta(seconds=wait_s) if wait_s else None)
