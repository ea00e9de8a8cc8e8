"""Whether a service is ready for work: every check must hold, and those that do not are named."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import Gauge
from pydantic import BaseModel

from shared.redaction import redact_text

Check = Callable[[], bool | Awaitable[bool | None] | None]
"""Holds if it returns anything but False, and raises nothing."""

CHECK_AT_MOST_S = 3.0
CACHED_S = 1.0
"""How long an answer counts, so that probing a service does not become work for its broker."""

READY = Gauge("flightline_ready", "1 if the service was ready when it was last asked.", ["service"])


class Readiness(BaseModel):
    """The answer of ``/readyz``; ``failing`` has the reason of each check that does not hold."""

    status: Literal["ready", "unready", "draining"]
    checks: list[str] = []
    failing: dict[str, str] = {}


@dataclass
class Health:
    """The checks of one service."""

    service: str
    draining: asyncio.Event
    checks: dict[str, Check] = field(default_factory=dict)
    check_at_most_s: float = CHECK_AT_MOST_S
    _answer: Readiness | None = None
    _asked_at_s: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def readiness(self) -> Readiness:
        """Return whether all checks hold; an answer is used again for ``CACHED_S``."""
        if self.draining.is_set():
            READY.labels(self.service).set(0)
            return Readiness(status="draining")
        async with self._lock:
            if self._answer is None or time.monotonic() - self._asked_at_s > CACHED_S:
                self._answer = await self._ask()
                self._asked_at_s = time.monotonic()
            return self._answer

    async def _ask(self) -> Readiness:
        names = list(self.checks)
        reasons = await asyncio.gather(
            *(_reason(check, self.check_at_most_s) for check in self.checks.values())
        )
        failing = {name: reason for name, reason in zip(names, reasons, strict=True) if reason}
        READY.labels(self.service).set(not failing)
        return Readiness(status="unready" if failing else "ready", checks=names, failing=failing)


async def _reason(check: Check, at_most_s: float) -> str | None:
    try:
        async with asyncio.timeout(at_most_s):
            outcome = check()
            if inspect.isawaitable(outcome):
                outcome = await outcome
    except TimeoutError:
        return f"no answer within {at_most_s:g} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, the check does not hold
        return redact_text(f"{type(error).__name__}: {error}")
    return "does not hold" if outcome is False else None
