"""What a process does first that works for a parent, one job after the other; see ``shared.warm``."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import IO

_DIE_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG`` of prctl(2)."""


def be_a_child(parent: int, niceness: int) -> None:
    """Leave the processor to others, and signals from the terminal to the parent; die with it."""
    os.nice(niceness)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def answers() -> IO[str]:
    """Return standard output, for answers alone: what libraries print goes to standard error from now on."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out
