"""How many requests one system gets at a time: more while all is well, half when it asks for less."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

START = 4
AT_MOST = 16
SYSTEMS_KEPT = 2000
_BEGUN_S: ContextVar[float] = ContextVar("begun_s", default=float("inf"))
"""When the request of this task began."""


class Throttle:
    """Admits requests to one system; additive increase, multiplicative decrease."""

    def __init__(self, start: int = START, at_most: int = AT_MOST) -> None:
        self._limit = float(start)
        self._at_most = at_most
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._halved_at_s = float("-inf")
        self._not_before_s = 0.0
        self.answered_s = float("-inf")
        """When the system last answered anything, by ``time.monotonic``."""

    @property
    def limit(self) -> int:
        """Return how many requests may be under way at a time."""
        return int(self._limit)

    @property
    def is_idle(self) -> bool:
        """Return whether nobody uses it or waits for it."""
        return not self._busy and not self._waiting

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for one's turn, and for the end of a pause that the system asked for.

        Once it is known that the system wants less, requests that are under way may fail as well; that is one
        sign and not many, so that only what begins afterwards is another.
        """
        await self._turn()
        self._busy += 1
        try:
            await asyncio.sleep(max(0.0, self._not_before_s - time.monotonic()))
            _BEGUN_S.set(time.monotonic())
            yield
        finally:
            self._busy -= 1
            self._wake()

    def answered(self) -> None:
        """Note that the system gave an answer, though it may be a refusal."""
        self.answered_s = time.monotonic()

    def succeeded(self) -> None:
        """Count an answer: after as many as may be under way, one more may."""
        self.answered()
        self._limit = min(self._at_most, self._limit + 1 / self._limit)
        self._wake()

    def slowed(self, pause_s: float) -> None:
        """Halve what may be under way, and let nothing new begin for a while."""
        now_s = time.monotonic()
        self._not_before_s = max(self._not_before_s, now_s + pause_s)
        if _BEGUN_S.get() >= self._halved_at_s:
            self._halved_at_s = now_s
            self._limit = max(1.0, self._limit / 2)

    async def _turn(self) -> None:
        """Return once there is room: for newcomers only what nobody who waited longer was promised."""
        if self._room() > 0:
            return
        while True:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._waiting.remove(turn)
                self._wake()  # it may have been promised already
                raise
            self._waiting.remove(turn)
            if self._busy < self.limit:
                return

    def _room(self) -> int:
        return self.limit - self._busy - sum(turn.done() for turn in self._waiting)

    def _wake(self) -> None:
        room = self._room()
        for turn in self._waiting:
            if room <= 0:
                break
            if not turn.done():
                turn.set_result(None)
                room -= 1


class Throttles:
    """One throttle per system; those that were idle for longest are forgotten."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, Throttle] = OrderedDict()

    def of(self, system: str) -> Throttle:
        """Return the throttle of a system."""
        throttle = self._of.setdefault(system, Throttle())
        self._of.move_to_end(system)
        if len(self._of) > SYSTEMS_KEPT and (name := next(iter(self._of))) and self._of[name].is_idle:
            del self._of[name]
        return throttle
