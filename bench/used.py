"""What a process took of the machine."""

from __future__ import annotations

import resource
from pathlib import Path

MB = 1_000_000


def used_here() -> dict[str, float]:
    """Return processor time and most memory of this process, its start included.

    The memory figure of ``getrusage`` begins with that of whoever started it, so it is not taken from there.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    lines = Path("/proc/self/status").read_text().splitlines()
    peak_kb = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
    return {"client CPU, s": used.ru_utime + used.ru_stime, "peak RSS, MB": peak_kb * 1024 / MB}
