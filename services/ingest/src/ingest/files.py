"""One file of a flight: into the object store, verified, by the cheapest way there is, or left out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from ingest.domain.images import Jpeg, Reason, ends_well, why_no_image
from ingest.domain.transfers import FileRecord, Rejection, base_key
from ingest.journal import Journal, rejected, staged
from ingest.limits import Lane, Limits
from ingest.reading import Reading, last_bytes
from ingest.resuming import PartsCopy, forget, part_bytes
from ingest.reuse import Reuse
from ingest.tally import Tally
from shared.errors import InvalidInputError, NotFoundError, TransientError
from shared.events import FlightFound
from shared.objects.port import ContentError, ObjectStore, StoredObject
from shared.sources import Entry, Source, SourceChangedError
from shared.sources.flight_files import DEFAULT_RULE, FileRule
from shared.sources.names import media_type
from shared.streams import nothing

MIB = 1 << 20
WHOLE_AT_MOST_BYTES = 16 * MIB
"""Up to here, a store that has no files of its own takes content whole; more, in six such pieces at most."""
PIECES = 6

log = structlog.get_logger()


class ReadError(TransientError):
    """It was the source that failed, and not the object store."""

    def __init__(self, path: str, error: TransientError) -> None:
        super().__init__(_told(path, error), retry_after=error.retry_after)
        self.has_changed = isinstance(error, SourceChangedError)


class _LeftOutError(Exception):
    """The file is no use."""

    def __init__(self, why: Rejection, reason: str) -> None:
        super().__init__(reason)
        self.why = why


@dataclass(frozen=True, slots=True)
class Rules:
    """Which files are taken, and how."""

    resumable_from_bytes: int = 64 * MIB
    file_bytes_at_most: int = 4096 * MIB
    files_at_most: int = 100_000
    unreadable_at_most: float = 0.05
    longest_pause_s: float = 30.0
    """If a source asks for more patience, its file waits for the next attempt at the flight."""
    belongs: FileRule = DEFAULT_RULE
    """Which files of a folder are images; the same for whoever announces the flight."""


@dataclass(frozen=True, slots=True)
class FileCopier:
    """Copies the files of one transfer."""

    source: Source
    objects: ObjectStore
    flight: FlightFound
    journal: Journal
    reuse: Reuse
    lane: Lane
    limits: Limits
    tally: Tally
    rules: Rules
    too_many: frozenset[str]
    """Paths of images beyond those that a flight may have."""

    async def copy(self, entry: Entry) -> FileRecord:
        """Copy a file, or leave it out, and write that down.

        Raises:
            ReadError: The source did not give it this time.
            TransientError: The object store, or the journal, is out of reach.
            PermanentError: No other file would fare better.
        """
        line = self.journal.line(entry)
        try:
            line = await self._copied(entry, line)
        except _LeftOutError as error:
            line = await self._left_out(entry, error.why, str(error))
        except InvalidInputError as error:  # the source may not be read here, or no key can have this name
            line = await self._left_out(entry, Rejection.UNREADABLE, str(error))
        return await self.journal.write(line)

    async def give_up(self, entry: Entry, error: ReadError) -> FileRecord:
        """Leave a file out that could not be read however often it was tried."""
        why = Rejection.CHANGED if error.has_changed else Rejection.UNREADABLE
        line = await self._left_out(entry, why, f"{why.value}: {error}")
        return await self.journal.write(line)

    async def _left_out(self, entry: Entry, why: Rejection, reason: str) -> FileRecord:
        log.warning("file.rejected", path=entry.path, kind=why.value, reason=reason)
        line = self.journal.line(entry)
        await forget(self.objects, line, self._key(entry))
        return rejected(line, why, reason)

    async def _copied(self, entry: Entry, line: FileRecord) -> FileRecord:
        self._check_listed(entry)
        key = self._key(entry)
        stored = await self.reuse.copied(entry, key)
        if stored is not None:
            self.tally.reused(entry)
        else:
            stored = await self._read(entry, line, key)
        return staged(line, key, stored.sha256)

    def _check_listed(self, entry: Entry) -> None:
        """Leave a file out that need not be read for it."""
        if entry.path in self.too_many:
            most = self.rules.files_at_most
            raise _LeftOutError(Rejection.OVER_LIMIT, f"over the limit of {most} images for one flight")
        if entry.size_bytes > self.rules.file_bytes_at_most:
            most = self.rules.file_bytes_at_most
            reason = f"over the limit: {entry.size_bytes} bytes, {most} are allowed"
            raise _LeftOutError(Rejection.OVER_LIMIT, reason)
        if self.rules.belongs.is_image(entry.path) and entry.size_bytes == 0:
            _raise_for(why_no_image(entry.path, 0, b""))
        known = self.reuse.older.rejection(entry)
        if known is not None and known.rejected_as is not Rejection.OVER_LIMIT:
            raise _LeftOutError(known.rejected_as or Rejection.UNREADABLE, known.reason or "")

    async def _read(self, entry: Entry, line: FileRecord, key: str) -> StoredObject:
        async with self.lane.place(), self.limits.budget.lent(self._held_bytes(entry)):
            try:
                stored = await self._stored(entry, line, key)
            finally:
                self.tally.settle(entry)
        self.lane.went_well()
        return stored

    async def _stored(self, entry: Entry, line: FileRecord, key: str) -> StoredObject:
        try:
            stored = await self._copied_by_server(entry, key)
            if stored is None:
                by_parts = self._is_resumable(entry)
                copy = partial(self._in_parts, line=line) if by_parts else self._at_once
                stored = await copy(entry, key=key)
        except (ContentError, NotFoundError) as error:
            raise ReadError(entry.path, SourceChangedError(str(error))) from error
        if entry.sha256 is not None and stored.sha256 != entry.sha256:
            await self.objects.delete(key)
            if (current := self.journal.line(entry)).partial:
                await self.journal.write(current.model_copy(update={"partial": None}))
            reason = f"its SHA-256 is {stored.sha256}, the source lists {entry.sha256}"
            raise ReadError(entry.path, SourceChangedError(reason))
        return stored

    async def _at_once(self, entry: Entry, key: str) -> StoredObject:
        async with self._opened(entry) as reading:
            self._check_head(entry, await reading.begin())
            local = self.source.local_path(entry)
            stored = await self.objects.put(
                key,
                local or reading.chunks(),
                size_bytes=entry.size_bytes,
                sha256=entry.sha256,
                content_type=media_type(entry.path),
            )
            if local:
                self.tally.passed(entry, entry.size_bytes)
        await self._check_tail(entry, key, await last_bytes(local) if local else reading.tail)
        return stored

    async def _in_parts(self, entry: Entry, line: FileRecord, key: str) -> StoredObject:
        copy = PartsCopy(self.objects, self.journal, line, key, media_type(entry.path))
        offset_bytes = line.partial.stored_bytes if line.partial else 0
        if offset_bytes == entry.size_bytes:  # stopped just before its end
            stored, tail = await copy.stored(nothing()), b""
        else:
            async with self._opened(entry, offset_bytes) as reading:
                head = await reading.begin()
                if not offset_bytes:
                    self._check_head(entry, head)
                stored = await copy.stored(reading.chunks())
                tail = reading.tail
        await self._check_tail(entry, key, tail)
        return stored

    async def _copied_by_server(self, entry: Entry, key: str) -> StoredObject | None:
        """Let source and store, which are one server, copy; then read, for nobody told its hash."""
        stored = await self.source.server_copy(entry, self.objects, key)
        if stored is None:
            return None
        async with self.objects.open(key) as chunks:
            reading, digest = Reading(chunks, lambda _: None), hashlib.sha256()
            self._check_head(entry, await reading.begin())
            async for chunk in reading.chunks():
                digest.update(chunk)
        await self._check_tail(entry, key, reading.tail)
        self.tally.reused(entry)
        return await self.objects.copy(key, key, sha256=digest.hexdigest())

    @asynccontextmanager
    async def _opened(self, entry: Entry, offset_bytes: int = 0) -> AsyncIterator[Reading]:
        """Open a file; what the source does wrong, and not whoever uses the content, is a ``ReadError``."""
        used: TransientError | None = None
        reading: Reading | None = None
        try:
            async with self.source.open(entry, offset_bytes) as chunks:
                reading = Reading(chunks, partial(self.tally.passed, entry))
                try:
                    yield reading
                except TransientError as error:
                    used = error
                    raise
        except TransientError as error:
            if used is not None and (reading is None or reading.failure is not used):
                raise
            raise ReadError(entry.path, error) from error

    def _check_head(self, entry: Entry, head: bytes) -> None:
        if self.rules.belongs.is_image(entry.path):
            _raise_for(why_no_image(entry.path, entry.size_bytes, head))

    async def _check_tail(self, entry: Entry, key: str, tail: bytes) -> None:
        """Leave an image out that ends too early; if its last bytes do not tell, it is read once more."""
        if not self.rules.belongs.is_image(entry.path) or ends_well(entry.path, tail):
            return
        jpeg = Jpeg()
        if not entry.path.lower().endswith(".png"):
            async with self.objects.open(key) as chunks:
                async for chunk in chunks:
                    jpeg.feed(chunk)
        if not jpeg.is_whole:
            await self.objects.delete(key)
            raise _LeftOutError(Rejection.TRUNCATED, "truncated: its picture has no end")

    def _is_resumable(self, entry: Entry) -> bool:
        return self.source.capabilities.ranges and entry.size_bytes >= self.rules.resumable_from_bytes

    def _held_bytes(self, entry: Entry) -> int:
        """Return how much of a file is in memory at a time."""
        if self._is_resumable(entry):
            return 3 * part_bytes(entry.size_bytes)
        if entry.size_bytes <= WHOLE_AT_MOST_BYTES:
            return entry.size_bytes + MIB
        return PIECES * WHOLE_AT_MOST_BYTES

    def _key(self, entry: Entry) -> str:
        return f"{base_key(self.flight)}/files/{entry.path}"


def _raise_for(reason: Reason | None) -> None:
    if reason is not None:
        raise _LeftOutError(*reason)


def _told(path: str, error: TransientError) -> str:
    text = str(error)
    return text if path in text else f"{path}: {text}"
