"""What the mover does by itself: look for tagged files now and then, and soon after images were scaled."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from mover.runs import Runs
from mover.wanted import Wanted
from shared.errors import PermanentError, TransientError

BUSY_AGAIN_S = 1.0
"""When somebody asked while another process was sorting."""

log = structlog.get_logger()


@dataclass(slots=True)
class SortingLoop:
    """Runs whenever it is time; any number of processes may."""

    runs: Runs
    every: timedelta
    debounce: timedelta
    trouble: str | None = None
    """Why nothing can be sorted, before any server is asked."""
    wanted: Wanted | None = None
    """What is sorted; None: nothing is configured."""
    _scaled: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def note_scaled(self) -> None:
        """Run soon: an image was scaled, and others may follow."""
        self._scaled.set()
        self._wake.set()

    def ask(self) -> None:
        """Run now: somebody asked, whatever went wrong before."""
        self._asked.set()
        self._wake.set()

    async def run(self) -> None:
        """Sort, for ever."""
        with suppress(TransientError):  # then the lease lapses by itself
            await self.runs.take_over()
        while not self.runs.stop.is_set():
            self._idle.clear()
            try:
                pause_s = await self._turn()
            finally:
                self._idle.set()
            await self._pause(pause_s)

    async def drain(self) -> None:
        """Take up nothing more, and finish the moves in hand."""
        self.runs.stop.set()
        self._wake.set()
        await self._idle.wait()

    async def _turn(self) -> float:
        """Run if it is time, and return in how many seconds to look again."""
        before, wanted = self.wanted, await self._read_wanted()
        self.wanted = wanted
        if wanted is None:
            return self.every.total_seconds()
        is_new = before != wanted  # what kept the last process waiting may be mended
        if self._scaled.is_set() and not self._asked.is_set():
            await asyncio.sleep(self.debounce.total_seconds())
        if self.runs.stop.is_set():
            return 0.0
        was_scaled, was_asked = self._scaled.is_set(), self._asked.is_set()
        self._scaled.clear()
        self._asked.clear()
        every = timedelta() if was_scaled else self.every
        try:
            is_done = await self.runs.if_due(wanted, every, at_once=was_asked or is_new)
        except (PermanentError, TransientError):  # it was logged, and written down for people to see
            is_done = True
        if is_done:
            return self.every.total_seconds()
        self._again(was_scaled=was_scaled, was_asked=was_asked)
        return BUSY_AGAIN_S

    def _again(self, *, was_scaled: bool, was_asked: bool) -> None:
        """Remember what another process kept us from."""
        if was_asked:
            self._asked.set()
        if was_scaled:
            self._scaled.set()

    async def _read_wanted(self) -> Wanted | None:
        try:
            wanted = await self.runs.wanted()
        except (PermanentError, TransientError) as error:
            if self.trouble != str(error):  # once, not every half minute
                log.warning("sorting.not_configured", error=str(error))
            self.trouble = str(error)
            return None
        self.trouble = None
        return wanted

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()
