"""When something is due, in seconds since 1970, as documents that wait for work say it (``due_s``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

NEVER_S = float(2**52)
"""Later than any moment, and the same number in every store."""


def delay_s(failures: int, ladder: Sequence[timedelta]) -> float | None:
    """Return how long to wait after so many failures (1 first); None: it was tried often enough."""
    return ladder[failures - 1].total_seconds() if failures <= len(ladder) else None
