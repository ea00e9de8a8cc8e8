"""Copy one version of a flight into the object store: every file verified, journalled, the manifest last."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from ingest.domain.manifest import Manifest, duplicates, make_manifest
from ingest.domain.transfers import UNLUCKY, FileRecord, Rejection, Staged, Transfer, base_key
from ingest.files import FileCopier, ReadError, Rules
from ingest.journal import Journal, rejected
from ingest.limits import Limits
from ingest.ports import OpensSources
from ingest.reuse import Older, Reuse
from ingest.tally import Tally
from shared.errors import PermanentError, TransientError
from shared.events import FlightFound
from shared.objects.port import ObjectStore
from shared.sources import Entry, FlightFiles, Source, read_flight
from shared.state import Collection

log = structlog.get_logger()

DISCOVERY = "flightline/discovery"
TRIES = 3
"""How often a file is tried in one attempt at the flight."""
FIRST_PAUSE_S = 0.2

Counted = Callable[[], Awaitable[None]]
"""Hears of every finished file."""


class FlightChangedError(PermanentError):
    """The flight is not any more what was announced; a new version of it has to be."""


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies flights."""

    sources: OpensSources
    objects: ObjectStore
    transfers: Collection[Transfer]
    lines: Collection[FileRecord]
    limits: Limits
    rules: Rules

    async def copy(
        self, transfer: Transfer, tally: Tally, counted: Counted, *, is_last: bool = False
    ) -> Staged:
        """Copy what is not in the journal yet, write the manifest and return what was staged.

        Args:
            transfer: What to copy.
            tally: Kept up to date.
            counted: Called behind every file.
            is_last: A few files that cannot be read, even now, are left out.

        Raises:
            FlightChangedError: The source does not hold the announced version any more.
            LoginNeededError: The source's user has to log in again.
            PermanentError: The source cannot be read, or holds no image.
            TransientError: Some files could not be copied this time; the others are in the journal.
        """
        flight = transfer.flight
        source = await self.sources.at(flight.source, flight.owner)
        files = await self._announced_files(source, transfer)
        journal = Journal(self.lines, transfer)
        entries = (*files.images, *files.sidecars)
        await journal.read(entries)
        tally.begin(entries, journal.done())
        todo = [entry for entry in entries if not journal.is_done(entry)]
        work = _Work(await self._file_copier(source, transfer, files, journal, tally, todo), counted, todo)
        await work.run(is_last=is_last)
        await self._leave_duplicates_out(files, journal, tally)
        if (await read_flight(source, flight.images_path, self.rules.belongs)).version != files.version:
            raise TransientError(f"{source.uri} changed while it was copied")
        return await self._write_manifest(flight, journal, files)

    async def _announced_files(self, source: Source, transfer: Transfer) -> FlightFiles:
        files = await read_flight(source, transfer.flight.images_path, self.rules.belongs)
        told_by = transfer.asks[-1].source
        if told_by == DISCOVERY and files.version != transfer.flight.version:
            raise FlightChangedError(
                f"{transfer.flight.name} changed after it was found: {len(files.images)} images now,"
                f" {transfer.flight.image_count} then; it will be found anew"
            )
        return files

    async def _file_copier(
        self,
        source: Source,
        transfer: Transfer,
        files: FlightFiles,
        journal: Journal,
        tally: Tally,
        todo: list[Entry],
    ) -> FileCopier:
        older = await Older.of(transfer, self.transfers, self.lines) if todo else Older()
        scheme = source.uri.partition(":")[0]
        in_order = sorted(entry.path for entry in files.images)
        return FileCopier(
            source=source,
            objects=self.objects,
            flight=transfer.flight,
            journal=journal,
            reuse=Reuse(self.objects, self.lines, older, transfer.flight.owner),
            lane=self.limits.lane(f"{scheme}:{source.system_id}", source.capabilities.parallel_at_most),
            limits=self.limits,
            tally=tally,
            rules=self.rules,
            too_many=frozenset(in_order[self.rules.files_at_most :]),
        )

    async def _leave_duplicates_out(self, files: FlightFiles, journal: Journal, tally: Tally) -> None:
        images = {entry.path for entry in files.images}
        for line, kept in duplicates(line for line in journal.done() if line.path in images):
            reason = f"duplicate: the same content as {kept.path}"
            without = rejected(line, Rejection.DUPLICATE, reason)
            update = {"key": None, "duplicate_of": kept.path}
            tally.ended(await journal.write(without.model_copy(update=update)))
            if line.key:
                await self.objects.delete(line.key)

    async def _write_manifest(self, flight: FlightFound, journal: Journal, files: FlightFiles) -> Staged:
        lines = [*journal.done()]
        manifest = make_manifest(
            flight.flight_id,
            flight.version,
            lines,
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
            unlucky_count=sum(line.rejected_as in UNLUCKY for line in lines),
        )


@dataclass
class _Work:
    """One attempt at the files of one transfer."""

    copier: FileCopier
    counted: Counted
    todo: list[Entry]
    tries: Counter[str] = field(default_factory=Counter)
    failures: dict[str, tuple[Entry, TransientError]] = field(default_factory=dict)
    refusals: list[PermanentError] = field(default_factory=list)

    async def run(self, *, is_last: bool) -> None:
        """Copy every file that is to be copied, a few at a time."""
        await self.counted()
        queue = deque(self.todo)
        at_once = min(self.copier.limits.files_at_once, len(queue))
        async with asyncio.TaskGroup() as workers:
            for _ in range(at_once):
                workers.create_task(self._work(queue))
        if self.refusals:
            raise self.refusals[0]
        if self.failures:
            await self._judge(is_last=is_last)

    async def _work(self, queue: deque[Entry]) -> None:
        while queue and not self.refusals:
            entry = queue.popleft()
            try:
                line = await self.copier.copy(entry)
            except ReadError as error:
                self._failed_to_read(entry, error, queue)
            except TransientError as error:  # the others go on; the transfer is tried again for this one
                self._failed(entry, error)
            except PermanentError as error:  # so that no other file fares better
                self.refusals.append(error)
            else:
                self.copier.tally.ended(line)
                await self.counted()

    def _failed_to_read(self, entry: Entry, error: ReadError, queue: deque[Entry]) -> None:
        self.tries[entry.path] += 1
        tries, longest_s = self.tries[entry.path], self.copier.rules.longest_pause_s
        pause_s = error.retry_after.total_seconds() if error.retry_after else FIRST_PAUSE_S * 2**tries
        if not error.has_changed:
            self.copier.lane.was_too_much(min(pause_s, longest_s))
        if tries < TRIES and pause_s <= longest_s:
            log.info("file.tried_again", path=entry.path, error=str(error), tries=tries)
            queue.append(entry)
        else:
            self._failed(entry, error)

    def _failed(self, entry: Entry, error: TransientError) -> None:
        log.warning("file.failed", path=entry.path, error=str(error))
        self.failures[entry.path] = (entry, error)

    async def _judge(self, *, is_last: bool) -> None:
        """Leave a few files out that cannot be read, or raise for all that failed."""
        failures = [*self.failures.values()]
        if is_last and self._may_leave_out():
            for entry, error in failures:
                assert isinstance(error, ReadError)
                self.copier.tally.ended(await self.copier.give_up(entry, error))
            return
        for entry, error in failures:
            await self._note_attempt(entry, error)
        waits = [error.retry_after for _, error in failures if error.retry_after]
        raise TransientError(
            f"{len(failures)} of {len(self.todo)} files failed: {failures[0][1]}",
            retry_after=max(waits, default=None),
        )

    def _may_leave_out(self) -> bool:
        of_all = self.copier.tally.amounts.files_total
        most = max(1, int(self.copier.rules.unreadable_at_most * of_all))
        were_read = all(isinstance(error, ReadError) for _, error in self.failures.values())
        return were_read and len(self.failures) <= most and self.copier.tally.staged_count > 0

    async def _note_attempt(self, entry: Entry, error: TransientError) -> None:
        line = self.copier.journal.line(entry)
        await self.copier.journal.write(
            line.model_copy(update={"attempts": line.attempts + 1, "reason": str(error)})
        )


def _no_image(flight: FlightFound, manifest: Manifest) -> str:
    examples = "; ".join(f"{file.path}: {file.reason}" for file in manifest.rejected[:3])
    return f"none of the {len(manifest.rejected)} files of {flight.name} is a usable image ({examples})"
