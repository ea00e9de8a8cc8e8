"""What the object store has already of a flight: files of its older versions, and equal ones of its owner."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.domain.transfers import (
    UNLUCKY,
    FileRecord,
    FileState,
    Rejection,
    Transfer,
    transfer_id,
)
from ingest.journal import is_same, lines_of
from shared.errors import PermanentError
from shared.objects.port import ObjectStore, StoredObject
from shared.sources import Entry
from shared.state import Collection, Order

VERSIONS_LOOKED_AT = 3


@dataclass
class Older:
    """The journals of a flight's last versions, newest first."""

    lines: dict[str, FileRecord] = field(default_factory=dict)

    @classmethod
    async def of(
        cls, transfer: Transfer, transfers: Collection[Transfer], lines: Collection[FileRecord]
    ) -> Older:
        """Read what is known of the versions before this one."""
        flight, older = transfer.flight, cls()
        page = await transfers.find(
            {"flight_id": flight.flight_id},
            order=Order("created_at", descending=True),
            limit=VERSIONS_LOOKED_AT + 1,
        )
        for document in page.items:
            if document.id == transfer_id(flight) or document.body.owner != flight.owner:
                continue
            for line in await lines_of(lines, document.id):
                older.lines.setdefault(line.path, line)
        return older

    def of_file(self, entry: Entry) -> FileRecord | None:
        """Return what became of a file, if it is listed now as it was then."""
        line = self.lines.get(entry.path)
        return line if line is not None and line.is_done and is_same(line, entry) else None

    def with_content(self, entry: Entry) -> FileRecord | None:
        """Return the line of the object that had a file's content then: its own, or of what it doubled."""
        line = self.of_file(entry)
        if line is not None and line.duplicate_of:
            kept = self.lines.get(line.duplicate_of)
            line = kept if kept is not None and kept.sha256 == line.sha256 else None
        return line if line is not None and line.state is FileState.STAGED else None

    def rejection(self, entry: Entry) -> FileRecord | None:
        """Return why a file was left out then, if its content alone was the reason."""
        line = self.of_file(entry)
        if line is None or line.rejected_as in (None, Rejection.DUPLICATE, *UNLUCKY):
            return None
        return line


@dataclass(frozen=True, slots=True)
class Reuse:
    """Copies within the store what the source need not be asked for.

    A copy is an object of its own: retention of one flight takes nothing away from another. Only content of
    the same owner is looked for by hash, because naming a hash does not prove that one has the content.
    """

    objects: ObjectStore
    lines: Collection[FileRecord]
    older: Older
    owner: str

    async def copied(self, entry: Entry, key: str) -> StoredObject | None:
        """Copy a file's content to ``key``; None: it has to be read."""
        for known in await self._candidates(entry):
            stored = await self._copied(known, key)
            if stored is not None:
                return stored
        return None

    async def _candidates(self, entry: Entry) -> list[FileRecord]:
        older = self.older.with_content(entry)
        found = [older] if older else []
        if entry.sha256 is None:
            return found
        where = {"sha256": entry.sha256, "owner": self.owner, "state": FileState.STAGED.value}
        page = await self.lines.find(where, limit=2)
        return found + [document.body for document in page.items]

    async def _copied(self, known: FileRecord, key: str) -> StoredObject | None:
        if known.key is None or known.sha256 is None or known.key == key:
            return None
        try:
            stored = await self.objects.copy(known.key, key, sha256=known.sha256)
        except PermanentError:  # swept, or damaged since: then it is read
            return None
        if stored.size_bytes == known.size_bytes:
            return stored
        await self.objects.delete(key)
        return None
