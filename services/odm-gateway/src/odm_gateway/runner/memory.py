"""How much memory a run holds, without what the kernel could take back at any time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .processes import marked

if TYPE_CHECKING:
    from collections.abc import Callable

CGROUPS = Path("/sys/fs/cgroup")
UNLIMITED_BYTES = 1 << 60


def meter(mark: bytes, cgroups: Path | None = CGROUPS) -> Callable[[], int]:
    """Return what measures a run, in bytes: its container if it has one, else its processes.

    ``memory.peak`` and ``max_usage_in_bytes`` would count the page cache, which grows up to any limit.

    Args:
        mark: That of the run's processes.
        cgroups: The container's own control group; None: there is no container of this run alone.
    """
    if cgroups and (cgroups / "memory.current").exists():  # version 2; the root group of a host has no such
        return lambda: _sum(cgroups / "memory.stat", "anon", "shmem")
    if cgroups and _limit(cgroups / "memory/memory.limit_in_bytes") < UNLIMITED_BYTES:
        return lambda: _sum(cgroups / "memory/memory.stat", "total_rss", "total_shmem")
    return lambda: sum(_resident(process_id) for process_id in marked(mark))


def _sum(path: Path, *names: str) -> int:
    try:
        rows = [row.split() for row in path.read_text().splitlines()]
        return sum(int(row[1]) for row in rows if row[0] in names)
    except (OSError, ValueError, IndexError):
        return 0


def _limit(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return UNLIMITED_BYTES


def _resident(process_id: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0
