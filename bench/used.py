"""What a process took of the machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

MB = 1_000_000


def used_here() -> dict[str, float]:
    """Return processor time and most memory of this process, its start included."""
    return {"client CPU, s": time.process_time(), "peak RSS, MB": peak_bytes(os.getpid()) / MB}


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process had since it runs its program; 0: it is gone.

    The figure of ``getrusage`` begins with that of whoever started it.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
