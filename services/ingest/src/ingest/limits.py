"""What one process takes on at a time: files of each storage system, and bytes in memory."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from shared.budget import Budget

CUT_AT_MOST_EVERY_S = 1.0
"""Requests that fail together are one sign of overload, not many."""
BEGIN_WITH = 4


class Lane:
    """How many files of one system may be read at a time: one more while all goes well, else half."""

    def __init__(self, at_most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_most = at_most
        self._clock = clock
        self._allowed = float(min(BEGIN_WITH, at_most))
        self._in_use = 0
        self._cut_at_s = -CUT_AT_MOST_EVERY_S
        self._closed_until_s = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def allowed(self) -> int:
        """Return how many files may be read at a time now."""
        return int(self._allowed)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and keep it inside the block."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
            await self._opened()
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._in_use -= 1
            self._admit()

    def went_well(self) -> None:
        """Note that a file came."""
        self._allowed = min(self._at_most, self._allowed + 1 / self._allowed)
        self._admit()

    def was_too_much(self, wait_s: float = 0.0) -> None:
        """Note that the system did not manage; nobody begins before ``wait_s`` have passed."""
        now_s = self._clock()
        self._closed_until_s = max(self._closed_until_s, now_s + wait_s)
        if now_s - self._cut_at_s >= CUT_AT_MOST_EVERY_S:
            self._cut_at_s = now_s
            self._allowed = max(1.0, self._allowed / 2)

    def _admit(self) -> None:
        while self._waiting and (self._waiting[0].done() or self._in_use < self.allowed):
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_use += 1
                turn.set_result(None)

    async def _opened(self) -> None:
        while (left_s := self._closed_until_s - self._clock()) > 0:  # noqa: ASYNC110 - it may be closed for longer
            await asyncio.sleep(left_s)


@dataclass
class Limits:
    """The limits of one process, shared by all its transfers."""

    files_at_once: int
    budget: Budget
    _lanes: WeakValueDictionary[str, Lane] = field(default_factory=WeakValueDictionary)

    def lane(self, system: str, parallel_at_most: int) -> Lane:
        """Return the lane of a system; it is forgotten when no transfer holds it."""
        lane = self._lanes.get(system)
        if lane is None:
            lane = self._lanes[system] = Lane(max(1, min(self.files_at_once, parallel_at_most)))
        return lane
