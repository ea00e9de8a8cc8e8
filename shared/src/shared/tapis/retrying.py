"""Requests repeated for as long as it makes sense."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from shared.tapis.faults import TapisFault
from shared.tapis.throttle import Throttle

T = TypeVar("T")

_DOUBLED_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try."""

    attempts: int = 5
    """So often, not counting those that met a system that wants fewer at a time."""
    first_wait_s: float = 0.3
    longest_wait_s: float = 10.0
    give_up_s: float = 90.0
    """After so long no attempt is begun any more, and no longer pause is waited for."""
    read_s: float = 60.0

    def wait_s(self, attempt: int, asked_s: float | None) -> float:
        """Return how long to wait before the next attempt: as asked, or a random part of twice as long."""
        if asked_s is not None:
            return asked_s
        doubled_s = self.first_wait_s * 2 ** min(attempt, _DOUBLED_AT_MOST)
        return random.uniform(0, min(self.longest_wait_s, doubled_s))  # noqa: S311 - no secret


class UnauthorizedError(Exception):
    """The token was not accepted."""


async def persistently(
    patience: Patience, throttle: Throttle, where: str, once: Callable[[], Awaitable[T]]
) -> T:
    """Do something until it succeeds, and tell the throttle how it went.

    Raises:
        UnauthorizedError: The token was not accepted.
        Exception: What the last fault means for somebody who reads from ``where``.
    """
    until_s = time.monotonic() + patience.give_up_s
    attempt = 0
    while True:
        try:
            result = await once()
        except TapisFault as fault:
            if not fault.may_pass:
                throttle.answered()
            wait_s = _wait_s(patience, fault, throttle, attempt, until_s)
            error = None if wait_s is not None else _error(fault, where)
        else:
            throttle.succeeded()
            return result
        if error is not None:
            raise error
        attempt += 1
        await asyncio.sleep(wait_s or 0)


def _wait_s(
    patience: Patience, fault: TapisFault, throttle: Throttle, attempt: int, until_s: float
) -> float | None:
    """Return how long to wait before another attempt; None: there is to be none."""
    if fault.asks_for_less:
        throttle.slowed(min(fault.retry_after_s or 0, patience.longest_wait_s))
    wait_s = patience.wait_s(attempt, fault.retry_after_s)
    is_last = attempt + 1 >= patience.attempts and not fault.is_too_many
    is_over = is_last or time.monotonic() + wait_s > until_s
    return None if is_over or not fault.may_pass else wait_s


def _error(fault: TapisFault, where: str) -> Exception:
    return UnauthorizedError() if fault.is_unauthorized else fault.meaning(where)
