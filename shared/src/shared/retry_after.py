"""``Retry-After`` of HTTP answers, those of others and our own."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from shared.errors import TransientError

AT_MOST = timedelta(days=1)
UNLESS_SAID = timedelta(seconds=5)


def read_retry_after(header: str | None, at_most: timedelta = AT_MOST) -> timedelta | None:
    """Return how long a server wants to be left alone, by seconds or a date, ``at_most`` at most."""
    text = header or ""
    try:
        if text.isdecimal() and text.isascii():
            asked = timedelta(seconds=min(int(text), at_most.total_seconds()))
        else:
            asked = parsedate_to_datetime(text) - datetime.now(UTC)
    except (TypeError, ValueError):
        return None
    return max(timedelta(0), min(asked, at_most))


def retry_after_headers(error: TransientError) -> dict[str, str]:
    """Return what an answer that tells of an error says about when to ask again."""
    seconds = math.ceil((error.retry_after or UNLESS_SAID).total_seconds())
    return {"Retry-After": str(max(1, seconds))}
