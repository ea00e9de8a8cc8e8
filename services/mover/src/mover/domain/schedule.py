"""When to run again."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from mover.domain.moves import Frozen
from mover.domain.reports import Report

LONGEST_WAIT = timedelta(minutes=10)
TIDIED_EVERY = timedelta(hours=1)
NEVER = timedelta()


class Schedule(Frozen):
    """The runs of all processes together: what the last one came to, and when the next one is due."""

    started_at_s: float = 0.0
    """When the last run began, in seconds since 1970."""
    repaired_at_s: float = 0.0
    """When stale tags were last looked for everywhere."""
    tidied_at_s: float = 0.0
    """When lines whose time was over were last forgotten."""
    failures: int = 0
    """Runs in a row that the server did not let us finish."""
    not_before_s: float = 0.0
    trouble: str | None = None
    last: Report | None = None

    def due_in_s(self, now: datetime, every: timedelta) -> float:
        """Return in how many seconds it is time for another run; 0: it is."""
        due_s = max(self.started_at_s + every.total_seconds(), self.not_before_s)
        return max(0.0, due_s - now.timestamp())

    def is_due(self, now: datetime, every: timedelta) -> bool:
        """Return whether it is time for another run."""
        return self.due_in_s(now, every) <= 0

    def is_repair_due(self, now: datetime, every: timedelta) -> bool:
        """Return whether stale tags are to be looked for everywhere."""
        return every != NEVER and now.timestamp() >= self.repaired_at_s + every.total_seconds()

    def is_tidying_due(self, now: datetime) -> bool:
        """Return whether lines whose time is over are to be forgotten."""
        return now.timestamp() >= self.tidied_at_s + TIDIED_EVERY.total_seconds()


def ran(schedule: Schedule, report: Report, **times: float) -> Schedule:
    """Return the schedule after a run."""
    changes = {"started_at_s": report.started_at.timestamp(), "last": report, **times}
    return schedule.model_copy(update={**changes, "failures": 0, "not_before_s": 0.0, "trouble": None})


def failed(
    schedule: Schedule,
    report: Report,
    error: str,
    *,
    now: datetime,
    every: timedelta,
    at_least: timedelta | None = None,
    is_hopeless: bool = False,
) -> Schedule:
    """Return the schedule after a run that the server did not let us finish; each waits longer.

    Args:
        schedule: Before it.
        report: What was done all the same.
        error: What went wrong.
        now: When it ended.
        every: How often to run when all is well.
        at_least: What the server said.
        is_hopeless: Whether only a person can mend it, so that asking soon makes it worse.
    """
    wait = LONGEST_WAIT if is_hopeless else min(every * 2 ** min(schedule.failures, 20), LONGEST_WAIT)
    wait = max(wait * random.uniform(0.8, 1.2), at_least or timedelta())  # noqa: S311 - jitter is no secret
    return schedule.model_copy(
        update={
            "started_at_s": report.started_at.timestamp(),
            "failures": schedule.failures + 1,
            "not_before_s": (now + wait).timestamp(),
            "trouble": error,
            "last": report,
        }
    )
