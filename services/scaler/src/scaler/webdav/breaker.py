"""Whether a server is to be asked now: after trouble it is left alone for a while, and that is said once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from shared.dav import FullError, RefusedError
from shared.errors import TransientError

IN_A_ROW = 3
"""So many failures without a success between them are the server's trouble, not an image's."""
SHORTEST_S, LONGEST_S = 5.0, 300.0
REFUSED_FOR_S = 600.0
"""A login that was refused is not tried again before that, or before the constants change: servers lock out
who tries too often."""
FULL_FOR_S = 300.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Breaker:
    """How one server fares."""

    clock: Callable[[], float] = time.monotonic
    error: TransientError | RefusedError | None = None
    """Why the server is left alone; None: it is not."""
    _open_at_s: float = 0.0
    _failures: int = 0

    @property
    def trouble(self) -> str | None:
        """Return why the server is left alone, in words."""
        return str(self.error) if self.error else None

    @property
    def is_closed(self) -> bool:
        """Return whether nothing is to be asked of the server now."""
        return self.clock() < self._open_at_s

    @property
    def left(self) -> timedelta:
        """Return how long the server is still left alone."""
        return timedelta(seconds=max(0.0, self._open_at_s - self.clock()))

    def went_well(self) -> None:
        """Note an answer as it should be."""
        if self.trouble is not None:
            log.info("webdav.well_again", was=self.trouble)
        self.error, self._failures = None, 0

    def went_wrong(self, error: TransientError | RefusedError) -> None:
        """Note a failure, and leave the server alone if it is the server's."""
        self._failures += 1
        pause_s = self._pause_s(error)
        if pause_s is None:
            return
        self._open_at_s = max(self._open_at_s, self.clock() + pause_s)
        if self.trouble != str(error):
            log.warning("webdav.left_alone", error=str(error), for_s=round(pause_s))
        self.error = error

    def _pause_s(self, error: TransientError | RefusedError) -> float | None:
        if isinstance(error, RefusedError) and error.is_login:
            return REFUSED_FOR_S
        if isinstance(error, FullError):
            return FULL_FOR_S
        asked = error.retry_after if isinstance(error, TransientError) else None
        asked_s = asked.total_seconds() if asked else 0.0
        if not asked_s and self._failures < IN_A_ROW:
            return None
        doubled_s = SHORTEST_S * 2.0 ** max(0, min(self._failures - IN_A_ROW, 10))
        return max(min(asked_s, LONGEST_S), min(doubled_s, LONGEST_S) * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
