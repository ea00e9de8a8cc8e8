"""Pauses between tries: longer and longer, and not in step with others."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_S = 0.25
LONGEST_S = 10.0


class Pauses:
    """Waits before each further try, until patience has run out."""

    def __init__(self, patience_s: float) -> None:
        self._ends_at_s = time.monotonic() + patience_s
        self._next_s = FIRST_S

    def wait(self, at_least_s: float = 0.0) -> bool:
        """Wait, and return True; return False at once where that would be longer than patience lasts."""
        pause_s = max(at_least_s, self._next_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        if time.monotonic() + pause_s > self._ends_at_s:
            return False
        time.sleep(pause_s)
        self._next_s = min(self._next_s * 2, LONGEST_S)
        return True


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return how long an answer asks to wait; 0 where it does not."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal():
        return float(said[:9])
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
