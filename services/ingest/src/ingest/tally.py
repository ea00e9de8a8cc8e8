"""How far a transfer is, kept while it is worked on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from ingest.domain.speed import Speed
from ingest.domain.transfers import Amounts, FileRecord, Rejection
from shared.sources import Entry


class Tally:
    """Counts files and bytes."""

    def __init__(self) -> None:
        self.has_begun = False
        """Whether the source was listed, so that there is something to count."""
        self._total: dict[str, int] = {}
        self._done: dict[str, Rejection | None] = {}
        self._passing: Counter[str] = Counter()
        self._read_bytes = 0
        self._reused_bytes = 0
        self._speed = Speed(time.monotonic())

    def begin(self, entries: Iterable[Entry], done: Iterable[FileRecord]) -> None:
        """Note what there is to do, and what of it is done."""
        self._total = {entry.path: entry.size_bytes for entry in entries}
        self._done = {line.path: line.rejected_as for line in done}
        self.has_begun = True

    def passed(self, entry: Entry, more_bytes: int) -> None:
        """Note that bytes of a file came."""
        self._passing[entry.path] += more_bytes
        self._read_bytes += more_bytes
        self._speed.add(more_bytes, time.monotonic())

    def reused(self, entry: Entry) -> None:
        """Note that the store had a file's content."""
        self._reused_bytes += entry.size_bytes

    def settle(self, entry: Entry) -> None:
        """Note that nothing of a file is on its way any more."""
        del self._passing[entry.path]

    def ended(self, line: FileRecord) -> None:
        """Note that a file needs no further work."""
        self._done[line.path] = line.rejected_as

    @property
    def staged_count(self) -> int:
        """Return how many files are in the store."""
        return sum(kind is None for kind in self._done.values())

    @property
    def amounts(self) -> Amounts:
        """Return how far it is now."""
        rejected = Counter(kind for kind in self._done.values() if kind is not None)
        done_bytes = sum(self._total.get(path, 0) for path in self._done)
        return Amounts(
            files_total=len(self._total),
            files_done=len(self._done),
            bytes_total=sum(self._total.values()),
            bytes_done=done_bytes + sum(self._passing.values()),
            read_bytes=self._read_bytes,
            reused_bytes=self._reused_bytes,
            rejected=dict(rejected),
            bytes_per_s=round(self._speed.bytes_per_s, 1),
        )
