"""Looks at many systems at once: one that does not answer takes nobody's turn, and is not waited for long."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")

AT_ONCE = 16
QUIET_AT_ONCE = 16
"""So many systems that do not answer may be waited for beside them; more would take all our threads."""
QUIET_S = 2.0
"""A system that has not answered for so long takes nobody's turn."""
GIVE_UP_S = 30.0
"""For so long a system's silence is waited out once all others are done: as long as one answer may take."""
LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class SystemLooks(Generic[T]):
    """How systems are looked at."""

    look: Callable[[str], Coroutine[Any, Any, T]]
    answered_s: Callable[[str], float]
    """When a system last answered anything, in seconds of ``time.monotonic``."""
    at_once: int = AT_ONCE
    quiet_s: float = QUIET_S
    give_up_s: float = GIVE_UP_S

    async def at(self, systems: Sequence[str]) -> AsyncGenerator[tuple[str, T | None], None]:
        """Yield each system with what a look at it found, as soon as it is known; None: it does not answer.

        Where all that is left has not answered for ``give_up_s``, nobody who asked for others as well waits
        for it.
        """
        round_: _Round[T] = _Round(self.answered_s, deque(dict.fromkeys(systems)))
        try:
            while round_.waiting or round_.begun:
                self._begin(round_)
                for system, task in await round_.ended():
                    yield system, task.result()
                if self._is_hopeless(round_):
                    for system in [*round_.begun]:
                        yield system, None
                    return
        finally:
            await round_.end()

    def _begin(self, round_: _Round[T]) -> None:
        quiet = sum(round_.silent_s(system) >= self.quiet_s for system in round_.begun)
        turns = self.at_once + min(quiet, QUIET_AT_ONCE) - len(round_.begun)
        for _ in range(min(turns, len(round_.waiting))):
            round_.begin(self.look)

    def _is_hopeless(self, round_: _Round[T]) -> bool:
        has_others = round_.count_ended > 0 and not round_.waiting
        return has_others and all(round_.silent_s(system) >= self.give_up_s for system in round_.begun)


@dataclass(slots=True)
class _Round(Generic[T]):
    """One time round the systems."""

    answered_s: Callable[[str], float]
    waiting: deque[str]
    begun: dict[str, tuple[asyncio.Task[T], float]] = field(default_factory=dict)
    count_ended: int = 0

    def begin(self, look: Callable[[str], Coroutine[Any, Any, T]]) -> None:
        system = self.waiting.popleft()
        self.begun[system] = (asyncio.create_task(look(system), name=f"look at {system}"), time.monotonic())

    def silent_s(self, system: str) -> float:
        return time.monotonic() - max(self.begun[system][1], self.answered_s(system))

    async def ended(self) -> list[tuple[str, asyncio.Task[T]]]:
        """Wait for some to end, but not for long."""
        tasks = [task for task, _ in self.begun.values()]
        await asyncio.wait(tasks, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        ended = [(system, task) for system, (task, _) in self.begun.items() if task.done()]
        for system, _ in ended:
            del self.begun[system]
        self.count_ended += len(ended)
        return ended

    async def end(self) -> None:
        tasks = [task for task, _ in self.begun.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
