"""How far a transfer is, kept while it is worked on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from ingest.domain.speed import Speed
from ingest.domain.transfers import Amounts, FileRecord, Rejection
from ingest.metrics import BYTES
from shared.sources import Entry


class Tally:
    """Counts files and bytes."""

    def __init__(self) -> None:
        self.has_begun = False
        """Whether the source was listed, so that there is something to count."""
        self._sizes_bytes: dict[str, int] = {}
        self._total_bytes = 0
        self._done: dict[str, Rejection | None] = {}
        self._done_bytes = 0
        self._rejected: Counter[Rejection] = Counter()
        self._passing: Counter[str] = Counter()
        self._read_bytes = 0
        self._reused_bytes = 0
        self._speed = Speed(time.monotonic())

    def begin(self, entries: Iterable[Entry], done: Iterable[FileRecord]) -> None:
        """Note what there is to do, and what of it is done."""
        self._sizes_bytes = {entry.path: entry.size_bytes for entry in entries}
        self._total_bytes = sum(self._sizes_bytes.values())
        for line in done:
            self.ended(line)
        self.has_begun = True

    def passed(self, entry: Entry, more_bytes: int) -> None:
        """Note that bytes of a file came."""
        self._passing[entry.path] += more_bytes
        self._read_bytes += more_bytes
        BYTES.labels("read").inc(more_bytes)
        self._speed.add(more_bytes, time.monotonic())

    def reused(self, entry: Entry) -> None:
        """Note that the store had a file's content."""
        self._reused_bytes += entry.size_bytes
        BYTES.labels("reused").inc(entry.size_bytes)

    def settle(self, entry: Entry) -> None:
        """Note that nothing of a file is on its way any more."""
        del self._passing[entry.path]

    def ended(self, line: FileRecord) -> None:
        """Note that a file needs no further work; the last word on it counts."""
        before = self._done.get(line.path)
        if before is not None:
            self._rejected[before] -= 1
        if line.path not in self._done:
            self._done_bytes += self._sizes_bytes.get(line.path, 0)
        self._done[line.path] = line.rejected_as
        if line.rejected_as is not None:
            self._rejected[line.rejected_as] += 1

    @property
    def staged_count(self) -> int:
        """Return how many files are in the store."""
        return len(self._done) - self._rejected.total()

    @property
    def amounts(self) -> Amounts:
        """Return how far it is now; asked for behind every file, so that nothing is counted here."""
        return Amounts(
            files_total=len(self._sizes_bytes),
            files_done=len(self._done),
            bytes_total=self._total_bytes,
            bytes_done=self._done_bytes + sum(self._passing.values()),
            read_bytes=self._read_bytes,
            reused_bytes=self._reused_bytes,
            rejected=dict(+self._rejected),
            bytes_per_s=round(self._speed.bytes_per_s, 1),
        )
