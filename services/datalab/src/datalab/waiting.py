"""Clients that wait for an operation to end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from datalab.domain.asked import ShownOperation

AT_MOST_S = 60.0
"""Proxies commonly cut what is silent for longer."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
OF_ONE_USER = 16
ALTOGETHER = 512


@dataclass(slots=True)
class Waiting:
    """Looks again and again for those who wait, so many at most; others are answered at once."""

    draining: asyncio.Event
    """Set when the service ends: nobody waits any longer."""
    _waiting: Counter[str] = field(default_factory=Counter)

    async def until_ended(
        self, user: str, look: Callable[[], Awaitable[ShownOperation]], within_s: float
    ) -> ShownOperation:
        """Return the operation when it has ended, or as it is after ``within_s``."""
        ends_at_s = time.monotonic() + min(within_s, AT_MOST_S)
        shown, pause_s = await look(), FIRST_PAUSE_S
        with self._room(user) as is_there:
            while is_there and not shown.state.is_final and not self.draining.is_set():
                left_s = ends_at_s - time.monotonic()
                if left_s <= 0:
                    break
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(pause_s, left_s)):
                        await self.draining.wait()
                shown, pause_s = await look(), min(pause_s * 1.5, LONGEST_PAUSE_S)
        return shown

    @contextmanager
    def _room(self, user: str) -> Iterator[bool]:
        if self._waiting[user] >= OF_ONE_USER or self._waiting.total() >= ALTOGETHER:
            yield False
            return
        self._waiting[user] += 1
        try:
            yield True
        finally:
            self._waiting[user] -= 1
            if not self._waiting[user]:
                del self._waiting[user]
