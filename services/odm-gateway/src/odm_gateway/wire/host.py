"""What ``/info`` tells of the machine, read at most once in a while."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

KEPT_S = 2.0


@dataclass(slots=True)
class HostFacts:
    """Cores and memory of this machine, and the length of the queue."""

    count_open: Callable[[], Awaitable[int]]
    queue_count: int = 0
    total_bytes: int = 0
    available_bytes: int = 0
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    _read_at_s: float = -KEPT_S

    async def refresh(self) -> None:
        """Read the facts again if they are older than two seconds."""
        now = time.monotonic()
        if now - self._read_at_s < KEPT_S:
            return
        self._read_at_s = now  # at once, so that requests in the meantime do not read as well
        self.queue_count = await self.count_open()
        self.total_bytes, self.available_bytes = _memory()


def _memory() -> tuple[int, int]:
    """Return total and available memory in bytes; 0 where the system does not tell."""
    facts = _meminfo()
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        total = 0
    return facts.get("MemTotal", total), facts.get("MemAvailable", total)


def _meminfo() -> dict[str, int]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
