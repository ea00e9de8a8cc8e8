"""The time, as documents and clients know it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_us() -> int:
    """Return the time in microseconds since 1970."""
    return time.time_ns() // 1000


def to_us(moment: datetime) -> int:
    """Return a moment, UTC where it says nothing of its zone, in microseconds since 1970."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def written(moment_us: int) -> str:
    """Return a moment as clients read it, such as ``2026-11-22T02:30:00.000000Z``."""
    moment = _EPOCH + timedelta(microseconds=moment_us)
    return f"{moment.isoformat(timespec='microseconds')[:-6]}Z"
