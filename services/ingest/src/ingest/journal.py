"""The journal of a transfer: a line for every file that was begun, so that no work is done twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from ingest.domain.transfers import UNLUCKY, FileRecord, FileState, Rejection, Transfer, transfer_id
from ingest.metrics import FILES
from shared.sources import Entry
from shared.state import AlreadyExistsError, Collection


class Journal:
    """The lines of one transfer, in the store and, as far as they concern files that are listed, here."""

    def __init__(self, lines: Collection[FileRecord], transfer: Transfer) -> None:
        self._lines = lines
        self._transfer = transfer_id(transfer.flight)
        self._owner = transfer.flight.owner
        self._known: dict[str, FileRecord] = {}

    async def read(self, entries: Sequence[Entry]) -> None:
        """Read the lines of files that are listed as they were, but for those that could not be read."""
        listed = {entry.path: entry for entry in entries}
        self._known = {
            line.path: line
            for line in await lines_of(self._lines, self._transfer)
            if line.path in listed and is_same(line, listed[line.path]) and line.rejected_as not in UNLUCKY
        }
        for line in [*self._known.values()]:
            if line.duplicate_of and not self._is_kept(line):
                del self._known[line.path]  # what it was a duplicate of is something else now

    def line(self, entry: Entry) -> FileRecord:
        """Return the line of a file, or a new one."""
        return self._known.get(entry.path) or FileRecord(
            transfer=self._transfer,
            owner=self._owner,
            path=entry.path,
            size_bytes=entry.size_bytes,
            token=entry.token,
            state=FileState.COPYING,
        )

    def is_done(self, entry: Entry) -> bool:
        """Return whether a file needs no further work."""
        return entry.path in self._known and self._known[entry.path].is_done

    def done(self) -> Iterator[FileRecord]:
        """Iterate over the files that need no further work."""
        return (line for line in self._known.values() if line.is_done)

    async def write(self, line: FileRecord) -> FileRecord:
        """Write a line, on disk, over an older one of this file."""
        name = f"{line.transfer}.{sha256(line.path.encode()).hexdigest()[:24]}"
        if line.path in self._known:
            await self._lines.update(name, lambda _: line)
        else:
            try:
                await self._lines.insert(name, line)
            except AlreadyExistsError:  # of a file that was replaced since
                await self._lines.update(name, lambda _: line)
        self._known[line.path] = line
        if line.is_done:
            FILES.labels(line.rejected_as.value if line.rejected_as else "staged").inc()
        return line

    def _is_kept(self, line: FileRecord) -> bool:
        kept = self._known.get(line.duplicate_of or "")
        return kept is not None and kept.state is FileState.STAGED and kept.sha256 == line.sha256


async def lines_of(lines: Collection[FileRecord], transfer: str) -> list[FileRecord]:
    """Return all lines of a transfer."""
    return [document.body async for document in lines.each({"transfer": transfer})]


def is_same(line: FileRecord, entry: Entry) -> bool:
    """Return whether a file is listed as it was when the line was written."""
    return (line.size_bytes, line.token) == (entry.size_bytes, entry.token)


def rejected(line: FileRecord, why: Rejection, reason: str) -> FileRecord:
    """Return the line of a file that is left out."""
    return line.model_copy(
        update={"state": FileState.REJECTED, "rejected_as": why, "reason": reason, "partial": None}
    )


def staged(line: FileRecord, key: str, hash_of_it: str | None) -> FileRecord:
    """Return the line of a file that is in the object store, verified."""
    return line.model_copy(
        update={
            "state": FileState.STAGED,
            "key": key,
            "sha256": hash_of_it,
            "partial": None,
            "rejected_as": None,
            "reason": None,
        }
    )
