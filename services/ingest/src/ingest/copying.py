"""Copy one version of a flight into the object store: every file verified, journalled, the manifest last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import structlog

from ingest.domain.manifest import MAGIC_BYTES, Manifest, make_manifest, why_no_image
from ingest.domain.transfers import FileRecord, FileState, Staged, Transfer, base_key, transfer_id
from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from shared.events import FlightFound
from shared.objects.port import ContentError, ObjectStore
from shared.sources import (
    Entry,
    FlightFiles,
    Source,
    SourceChangedError,
    Sources,
    is_image,
    read_flight,
)
from shared.state import AlreadyExistsError, Collection

log = structlog.get_logger()

DISCOVERY = "flightline/discovery"

Counted = Callable[[int, int, int], Awaitable[None]]
"""Hears of every finished file: done, total, bytes."""


class FlightChangedError(PermanentError):
    """The flight is not any more what was announced; a new version of it has to be."""


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies flights."""

    sources: Sources
    objects: ObjectStore
    journal: Collection[FileRecord]
    files_at_once: int

    async def copy(self, transfer: Transfer, counted: Counted) -> Staged:
        """Copy what is not in the journal yet, write the manifest and return what was staged.

        Raises:
            FlightChangedError: The source does not hold the announced version any more.
            PermanentError: The source cannot be read, or holds no image.
            TransientError: Some files could not be copied this time; the others are in the journal.
        """
        source = await self.sources.at(transfer.flight.source)
        files = await self._announced_files(source, transfer)
        work = _Work(self, source, transfer.flight, files, counted)
        await work.run()
        if (await read_flight(source, transfer.flight.images_path)).version != files.version:
            raise TransientError(f"{source.uri} changed while it was copied")
        return await self._write_manifest(transfer.flight, work, files)

    async def _announced_files(self, source: Source, transfer: Transfer) -> FlightFiles:
        files = await read_flight(source, transfer.flight.images_path)
        told_by = transfer.asks[-1].source
        if told_by == DISCOVERY and files.version != transfer.flight.version:
            raise FlightChangedError(
                f"{transfer.flight.name} changed after it was found: {len(files.images)} images now,"
                f" {transfer.flight.image_count} then; it will be found anew"
            )
        return files

    async def _write_manifest(self, flight: FlightFound, work: _Work, files: FlightFiles) -> Staged:
        manifest = make_manifest(
            flight.flight_id,
            flight.version,
            work.journal.values(),
            image_paths=frozenset(entry.path for entry in files.images),
            skipped=files.skipped,
        )
        if not manifest.images:
            raise PermanentError(_no_image(flight, manifest))
        key = f"{base_key(flight)}/manifest.json"
        await self.objects.put(
            key, manifest.model_dump_json(indent=1).encode(), content_type="application/json"
        )
        return Staged(
            prefix=self.objects.uri(f"{base_key(flight)}/files"),
            manifest=self.objects.uri(key),
            image_count=len(manifest.images),
            total_bytes=sum(file.size_bytes for file in manifest.images),
            rejected_count=len(manifest.rejected),
        )


@dataclass
class _Work:
    """One attempt at one transfer."""

    copier: Copier
    source: Source
    flight: FlightFound
    files: FlightFiles
    counted: Counted
    journal: dict[str, FileRecord] = field(default_factory=dict)
    copied_bytes: int = 0
    failures: list[TransientError] = field(default_factory=list)
    refusals: list[PermanentError] = field(default_factory=list)

    async def run(self) -> None:
        """Copy every file that the journal does not have, a few at a time."""
        await self._read_journal()
        todo = [entry for entry in self._entries() if not self._is_done(entry)]
        await self._count()
        slots = asyncio.Semaphore(self.copier.files_at_once)
        async with asyncio.TaskGroup() as copies:
            for entry in todo:
                await slots.acquire()
                copies.create_task(self._copy(entry)).add_done_callback(lambda _: slots.release())
        if self.refusals:
            raise self.refusals[0]
        if self.failures:
            raise TransientError(f"{len(self.failures)} of {len(todo)} files failed: {self.failures[0]}")

    def _entries(self) -> tuple[Entry, ...]:
        return (*self.files.images, *self.files.sidecars)

    def _is_done(self, entry: Entry) -> bool:
        known = self.journal.get(entry.path)
        return known is not None and (known.size_bytes, known.token) == (entry.size_bytes, entry.token)

    async def _read_journal(self) -> None:
        cursor: str | None = None
        while True:
            page = await self.copier.journal.find(
                {"transfer": transfer_id(self.flight)}, limit=1000, after=cursor
            )
            self.journal |= {document.body.path: document.body for document in page.items}
            cursor = page.cursor
            if cursor is None:
                break
        present = {entry.path for entry in self._entries()}
        self.journal = {path: record for path, record in self.journal.items() if path in present}
        self.copied_bytes = sum(record.size_bytes for record in self.journal.values())

    async def _copy(self, entry: Entry) -> None:
        if self.refusals:
            return
        try:
            record = await self._copied_or_rejected(entry)
            await self._write_down(record)
        except TransientError as error:  # the others go on; the transfer is tried again for this one
            log.warning("file.failed", path=entry.path, error=str(error))
            self.failures.append(error)
        except PermanentError as error:  # of the object store, so that no other file fares better
            self.refusals.append(error)
        else:
            self.copied_bytes += record.size_bytes
            self.journal[entry.path] = record
            await self._count()

    async def _copied_or_rejected(self, entry: Entry) -> FileRecord:
        record = FileRecord(
            transfer=transfer_id(self.flight),
            path=entry.path,
            size_bytes=entry.size_bytes,
            token=entry.token,
            state=FileState.REJECTED,
        )
        try:
            return await self._copied(entry, record)
        except InvalidInputError as error:  # the source may not be read here, or no key can have this name
            return _rejected(record, str(error))
        except (ContentError, NotFoundError) as error:
            raise SourceChangedError(f"{entry.path}: {error}") from error

    async def _copied(self, entry: Entry, record: FileRecord) -> FileRecord:
        async with self._opened(entry) as (head, content):
            if is_image(entry.path) and (reason := why_no_image(entry.size_bytes, head)):
                return _rejected(record, reason)
            key = f"{base_key(self.flight)}/files/{entry.path}"
            stored = await self.copier.objects.put(
                key, content, size_bytes=entry.size_bytes, content_type=_media_type(entry)
            )
        return record.model_copy(update={"state": FileState.STAGED, "key": key, "sha256": stored.sha256})

    @asynccontextmanager
    async def _opened(self, entry: Entry) -> AsyncIterator[tuple[bytes, AsyncIterator[bytes] | Path]]:
        """Give the first bytes and the whole content; a local file is copied by the store itself."""
        async with self.source.open(entry) as chunks:
            head = b""
            async for first in chunks:
                head = first
                break
            local = self.source.local_path(entry)
            yield head[:MAGIC_BYTES], local or _rejoined(head, chunks)

    async def _write_down(self, record: FileRecord) -> None:
        name = f"{record.transfer}.{sha256(record.path.encode()).hexdigest()[:24]}"
        try:
            await self.copier.journal.insert(name, record)
        except AlreadyExistsError:  # the source's file was replaced since an earlier attempt
            await self.copier.journal.update(name, lambda _: record)

    async def _count(self) -> None:
        await self.counted(len(self.journal), len(self._entries()), self.copied_bytes)


async def _rejoined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for chunk in rest:
        yield chunk


def _rejected(record: FileRecord, reason: str) -> FileRecord:
    log.warning("file.rejected", path=record.path, reason=reason)
    return record.model_copy(update={"reason": reason})


def _media_type(entry: Entry) -> str:
    return "image/jpeg" if is_image(entry.path) else "application/octet-stream"


def _no_image(flight: FlightFound, manifest: Manifest) -> str:
    examples = "; ".join(f"{file.path}: {file.reason}" for file in manifest.rejected[:3])
    return f"none of the {len(manifest.rejected)} files of {flight.name} is a usable image ({examples})"
