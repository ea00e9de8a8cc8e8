"""Memory, processor time and queues over the length of a run."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
from tests.support.rabbitmq import RabbitMQ

from bench.scale.effects import QUEUES
from bench.scale.fleet import Fleet, tree
from bench.scale.outside import Outside

EVERY_S = 2.0
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Memory:
    """How the memory of a process went on, over the time that it worked under full load."""

    first_mb: float
    """Median of the second quarter."""
    last_mb: float
    """Median of the last quarter."""
    peak_mb: float
    slope_mb_per_min: float


def memory(samples: Sequence[tuple[float, int]]) -> Memory | None:
    """Return how memory went on, from pairs of seconds and bytes; None: there are too few."""
    alive = [(at_s, rss_bytes / MB) for at_s, rss_bytes in samples if rss_bytes]
    quarter = len(alive) // 4
    if quarter < 2:
        return None
    warm = alive[quarter:]
    slope = statistics.linear_regression(*zip(*warm, strict=True)).slope
    return Memory(
        first_mb=round(statistics.median(mb for _, mb in alive[quarter : 2 * quarter]), 1),
        last_mb=round(statistics.median(mb for _, mb in alive[-quarter:]), 1),
        peak_mb=round(max(mb for _, mb in alive), 1),
        slope_mb_per_min=round(slope * 60, 2),
    )


@dataclass(slots=True)
class Samples:
    """What was seen, every two seconds."""

    rss: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    """Since the first look."""
    deepest: dict[str, int] = field(default_factory=dict)
    """Most messages that waited in each queue."""
    load: list[float] = field(default_factory=list)
    _before_s: dict[str, float] = field(default_factory=dict)

    async def take(self, fleet: Fleet, broker: RabbitMQ, outside: Outside) -> None:
        """Look, until cancelled."""
        broker_cpu_s, last_s = 0.0, 0.0
        while True:
            now_s = time.monotonic()
            for member in fleet.members.values():
                used = member.used()
                self._note(member.name, now_s, used.cpu_s, used.rss_bytes)
            with suppress(psutil.NoSuchProcess):  # it is killed at this moment
                if broker.process is not None and broker.process.poll() is None:
                    cpu_s, rss_bytes = tree(psutil.Process(broker.process.pid))
                    if cpu_s < last_s:  # another life
                        broker_cpu_s += last_s
                    last_s = cpu_s
                    self._note("broker", now_s, broker_cpu_s + cpu_s, rss_bytes)
            for name, depth in (await outside.depths(QUEUES)).items():
                self.deepest[name] = max(depth, self.deepest.get(name, 0))
            self.load.append(psutil.getloadavg()[0])
            await asyncio.sleep(EVERY_S)

    def _note(self, name: str, at_s: float, cpu_s: float, rss_bytes: int) -> None:
        self.rss.setdefault(name, []).append((at_s, rss_bytes))
        self.cpu_s[name] = cpu_s - self._before_s.setdefault(name, cpu_s)
