"""Waiting for what comes to be in its own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

WITHIN_S = 100.0


async def until(holds: Callable[[], Any], within_s: float = WITHIN_S) -> None:
    """Wait until something holds while the loop goes on."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.02)


def wait_until(holds: Callable[[], Any], within_s: float = WITHIN_S) -> None:
    """Wait until something holds that happens elsewhere."""
    ends_at_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends_at_s, "it never came to be"
        time.sleep(0.02)
