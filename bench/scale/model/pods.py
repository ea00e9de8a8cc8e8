"""Pods of a service that take jobs from a queue, as many as KEDA and the HorizontalPodAutoscaler want."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import simpy

from bench.scale.model.parameters import Scaling, Times

TOLERANCE = 0.1
"""A HorizontalPodAutoscaler leaves smaller differences alone."""
UP_AT_LEAST = 4
"""It adds up to so many pods, or doubles them, in one round."""

Steps = Generator[Any, Any, None]
"""Of a process that returns nothing."""


@dataclass(slots=True)
class Job:
    """Something that takes a slot for a while."""

    work_s: float
    done: simpy.Event
    asked_at_s: float
    began_at_s: float | None = None


def wanted(replicas: int, backlog: int, scaling: Scaling) -> int:
    """Return how many pods a backlog asks for, before anything slows the change down."""
    if replicas == 0:
        return min(scaling.most, max(scaling.least, math.ceil(backlog / scaling.per_replica)))
    if abs(backlog / (replicas * scaling.per_replica) - 1) <= TOLERANCE:
        return replicas
    return min(scaling.most, max(scaling.least, math.ceil(backlog / scaling.per_replica)))


def allowed(
    replicas: int, recommendations: Sequence[int], now: int, period_start: int, scaling: Scaling
) -> int:
    """Return the next number of pods.

    Args:
        replicas: How many there are.
        recommendations: What was wanted within the time of stabilization.
        now: What is wanted now.
        period_start: How many there were when the period of the policy for fewer pods began.
        scaling: The limits.
    """
    if now > replicas:
        return min(now, max(2 * replicas, replicas + UP_AT_LEAST))
    stable = max([now, *recommendations])
    floor = math.ceil(period_start * (1 - scaling.down_percent / 100))
    return min(replicas, max(stable, floor))


@dataclass(slots=True)
class Pods:
    """A service's pods; a pod that is taken away hands back what it has in hand."""

    env: simpy.Environment
    scaling: Scaling
    times: Times
    replicas: int = 0
    peak: int = 0
    busy_s: float = 0.0
    handed_back: int = 0
    _queue: list[tuple[float, int, Job]] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)
    _busy: int = 0
    _surplus: int = 0
    _waiting: deque[simpy.Event] = field(default_factory=deque)
    _working: list[simpy.Process] = field(default_factory=list)
    _history: deque[tuple[float, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Begin with the fewest pods, ready."""
        for _ in range(self.scaling.least):
            self._add(0.0)
        self.env.process(self._autoscale())

    @property
    def backlog(self) -> int:
        """Return how many jobs wait or are in hand: KEDA counts both."""
        return len(self._queue) + self._busy

    def submit(self, work_s: float) -> Job:
        """Queue a job."""
        job = Job(work_s, self.env.event(), self.env.now)
        self._put(job)
        return job

    def _put(self, job: Job) -> None:
        heapq.heappush(self._queue, (job.asked_at_s, next(self._numbers), job))
        if self._waiting:
            self._waiting.popleft().succeed()

    def _add(self, start_s: float) -> None:
        self.replicas += 1
        self.peak = max(self.peak, self.replicas)
        for _ in range(self.scaling.per_replica):
            process: list[simpy.Process] = []
            process.append(self.env.process(self._slot(start_s, process)))

    def _slot(self, start_s: float, own: list[simpy.Process]) -> Steps:
        yield self.env.timeout(start_s)
        while True:
            if self._surplus:
                self._surplus -= 1
                return
            if not self._queue:
                woken = self.env.event()
                self._waiting.append(woken)
                yield woken
                continue
            _, _, job = heapq.heappop(self._queue)
            job.began_at_s = self.env.now if job.began_at_s is None else job.began_at_s
            self._busy += 1
            self._working.append(own[0])
            began_s = self.env.now
            try:
                yield self.env.timeout(job.work_s)
                job.done.succeed()
            except simpy.Interrupt:
                job.work_s = max(0.0, job.work_s - (self.env.now - began_s)) + self.times.hand_back_s
                self.handed_back += 1
                self._put(job)
                return
            finally:
                self.busy_s += self.env.now - began_s
                self._busy -= 1
                if own[0] in self._working:
                    self._working.remove(own[0])

    def _remove(self) -> None:
        """Take a pod away; idle slots go first, as its work may be anywhere."""
        self.replicas -= 1
        idle = min(len(self._waiting), self.scaling.per_replica)
        for _ in range(idle):
            self._surplus += 1
            self._waiting.popleft().succeed()
        for _ in range(self.scaling.per_replica - idle):
            if self._working:
                self._working.pop().interrupt()
            else:
                self._surplus += 1

    def _autoscale(self) -> Steps:
        period_start, period_began_s = self.replicas, 0.0
        while True:
            yield self.env.timeout(self.scaling.polling_s)
            if self.env.now - period_began_s >= self.scaling.down_period_s:
                period_start, period_began_s = self.replicas, self.env.now
            now = wanted(self.replicas, self.backlog, self.scaling)
            while self._history and self._history[0][0] < self.env.now - self.scaling.stabilization_s:
                self._history.popleft()
            recommended = [replicas for _, replicas in self._history]
            self._history.append((self.env.now, now))
            after = allowed(self.replicas, recommended, now, period_start, self.scaling)
            while self.replicas < after:
                self._add(self.times.pod_start_s)
            while self.replicas > after:
                self._remove()
