"""The processes of a run, found by a variable that all of them inherit.

Process groups would not do where there is a ``/proc``: ODM gives its programs sessions of their own.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

VARIABLE = "FLIGHTLINE_ODM_WORKSPACE"
SWEEP_S = 5.0


def marked(mark: bytes) -> list[int]:
    """Return the processes whose environment has ``mark``: those of a run, wherever they moved."""
    with suppress(OSError):
        numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [number for number in numbers if has_mark(number, mark)]
    return []


def has_mark(process_id: int, mark: bytes) -> bool:
    """Return whether the process belongs to the run of ``mark``."""
    try:
        return mark in Path(f"/proc/{process_id}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def belongs(process_id: int, mark: bytes, group: int) -> bool:
    """Return whether a process has the mark, or is in the group where marks cannot be read."""
    if has_mark(process_id, mark):
        return True
    try:
        return os.getpgid(process_id) == group
    except OSError:
        return False


def sweep(mark: bytes) -> None:
    """Kill every process of a run and wait for the end of them."""
    deadline = time.monotonic() + SWEEP_S
    while time.monotonic() < deadline:
        left = marked(mark)
        if not left:
            return
        for process_id in left:
            with suppress(OSError):
                os.kill(process_id, signal.SIGKILL)
        time.sleep(0.02)
