"""What a run has come to so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter

from mover.domain.moves import Move, MoveState
from mover.domain.reports import TOLD_AT_MOST, Report

SORTED = Counter("flightline_mover_files_total", "Files that the mover was done with.", ["state"])
FAILED = Counter("flightline_mover_failures_total", "Files that could not be moved just then.")

log = structlog.get_logger()


def _nobody(_: Move) -> None:
    pass


@dataclass(slots=True)
class Tally:
    """Counts of one run."""

    told: Callable[[Move], None] = _nobody
    """Called with each line of the journal that the run has to do with no more."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    files: int = 0
    left: int = 0
    moved: int = 0
    duplicates: int = 0
    tags_left: int = 0
    repaired: int = 0
    failed: int = 0
    failed_in_a_row: int = 0
    errors: list[str] = field(default_factory=list)

    def count(self, line: Move, *, is_late: bool = False) -> None:
        """Count a file that the run is done with; late: an earlier run had moved it."""
        self.failed_in_a_row = 0
        self.duplicates += line.state is MoveState.DUPLICATE
        if line.state is MoveState.TAGGED:
            self.tags_left += 1
            self.note(f"{line.target}: {line.error}")
        if line.state in (MoveState.MOVED, MoveState.TAGGED, MoveState.REPAIRED):
            self.moved += not is_late
            self.repaired += is_late and line.state is not MoveState.TAGGED
        SORTED.labels(line.state.value).inc()
        log.info("file.sorted", file=line.source, target=line.target, state=line.state.value)
        self.told(line)

    def fail(self, path: str, error: Exception) -> None:
        """Count a file that the next run tries again."""
        self.failed += 1
        self.failed_in_a_row += 1
        FAILED.inc()
        self.note(f"{path}: {error}")
        log.warning("file.failed", file=path, error=str(error))

    def note(self, error: str) -> None:
        """Tell of something that went wrong."""
        if len(self.errors) < TOLD_AT_MOST:
            self.errors.append(error)

    def report(self) -> Report:
        """Return what the run came to, so far."""
        return Report(
            started_at=self.started_at,
            seconds=round((datetime.now(UTC) - self.started_at).total_seconds(), 3),
            files=self.files,
            left=self.left,
            moved=self.moved,
            duplicates=self.duplicates,
            tags_left=self.tags_left,
            repaired=self.repaired,
            failed=self.failed,
            errors=tuple(self.errors),
        )
