"""Loops beside the requests: one that dies is logged, makes the service unready, and starts again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from prometheus_client import Counter

Loop = Callable[[], Awaitable[None]]

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
STEADY_AFTER_S = 10.0
"""A loop that has run for so long is healthy again, and its next death waits as short as the first."""

DEATHS = Counter("flightline_loop_deaths_total", "Loops that ended with an error.", ["service", "loop"])

log = structlog.get_logger(__name__)


@dataclass
class Supervised:
    """One loop and how it fares."""

    service: str
    name: str
    run: Loop
    first_wait_s: float = FIRST_WAIT_S
    steady_after_s: float = STEADY_AFTER_S
    _died_of: str | None = None
    _started_at_s: float | None = None

    async def supervise(self) -> None:
        """Run the loop until it returns, starting it again, later each time, whenever it raises."""
        wait_s = self.first_wait_s
        while (error := await self._run_once()) is not None:
            if self._is_steady():
                wait_s = self.first_wait_s
            self._started_at_s = None
            self._died_of = f"{type(error).__name__}: {error}"
            DEATHS.labels(self.service, self.name).inc()
            log.error("loop.died", loop=self.name, again_in_s=wait_s, exc_info=error)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        self._died_of = None

    async def _run_once(self) -> BaseException | None:
        self._started_at_s = time.monotonic()
        try:
            await self.run()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            return error  # a client library gave up on a call; nobody wanted the loop to end
        except Exception as error:  # noqa: BLE001 - logged by the caller
            return error
        return None

    def check(self) -> None:
        """Raise if the loop died and has not yet run steadily since."""
        if self._died_of and not self._is_steady():
            raise RuntimeError(f"died of {self._died_of}")

    def _is_steady(self) -> bool:
        return self._started_at_s is not None and time.monotonic() - self._started_at_s > self.steady_after_s
