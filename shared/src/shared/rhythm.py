"""When to look again: those who look equally often do so together, since waking costs more than looking."""

from __future__ import annotations

import asyncio
import os

NEARLY = 0.05
"""A timer may come a little early; what is left then is not worth a wait of its own."""


def until_next_s(every_s: float) -> float:
    """Return how long to sleep to the moment at which all of this process wake that look so often.

    It comes after ``every_s`` or sooner, but not at once; other processes have moments of their own.
    """
    phase_s = os.getpid() * every_s * 0.618
    left_s = every_s - (asyncio.get_running_loop().time() + phase_s) % every_s
    return left_s if left_s > NEARLY * every_s else left_s + every_s
