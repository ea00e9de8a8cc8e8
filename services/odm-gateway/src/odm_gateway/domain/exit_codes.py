"""What a photogrammetry process's exit code means to its user, in NodeODM's words."""

from __future__ import annotations

import signal
from collections.abc import Mapping

SIGNALLED = 128
"""Shells and containers add this to the number of the signal that ended a process."""

OUT_OF_MEMORY = SIGNALLED + signal.SIGKILL
TERMINATED = SIGNALLED + signal.SIGTERM

_DATASET = "Cannot process dataset"
_TEXTS: Mapping[int, str] = {
    1: _DATASET,
    SIGNALLED + signal.SIGABRT: _DATASET,
    SIGNALLED + signal.SIGSEGV: _DATASET,
    OUT_OF_MEMORY: "Not enough memory",
    SIGNALLED + signal.SIGILL: "Unsupported CPU",
    3: "Installation issue",
}


def exit_text(exit_code: int) -> str:
    """Return NodeODM's words for a process that ended badly.

    Args:
        exit_code: As a shell has it, or the negative number of a signal, as Python has it.
    """
    code = SIGNALLED - exit_code if exit_code < 0 else exit_code
    return _TEXTS.get(code, f"Processing failed ({code})")
