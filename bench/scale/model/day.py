"""One day of flights through the model."""

from __future__ import annotations

import math
import random
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

from bench.scale.model.nodes import HOUR_S, Node, Nodes
from bench.scale.model.parameters import Chart, Policy, Times, World, landing_s
from bench.scale.model.pods import Pods, Steps
from bench.scale.percentiles import percentile
from odm_gateway.domain.sizing import GIB_PER_CORE, HEADROOM, Limits, size_of
from scaler.domain.pieces import piece_length

LIMITS = Limits(memory_gib=(4, 256))
STARTS_AT_MOST = 4
"""The workflow's own: a first try and three more."""


@dataclass(frozen=True, slots=True)
class Flown:
    """One flight: when it got how far, in seconds."""

    images: int
    landed_s: float
    staged_waited_s: float
    staged_s: float
    window_waited_s: float
    node_waited_s: float
    odm_s: float
    """From its first pod to its end, waits for nodes aside."""
    total_s: float
    starts: int
    out_of_memory: int
    interruptions: int
    lost_s: float
    """ODM's work that had to be done once more."""
    is_failed: bool


@dataclass(slots=True)
class Day:
    """The simulated cluster of one day."""

    chart: Chart
    times: Times
    world: World
    policy: Policy
    seed: int = 20261122
    env: simpy.Environment = field(default_factory=simpy.Environment)
    flown: list[Flown] = field(default_factory=list)
    peak_workflows: int = 0
    core_s: float = 0.0
    """What pods of ODM had, whether they used it or not."""
    ingest: Pods = field(init=False)
    scaler: Pods = field(init=False)
    nodes: Nodes = field(init=False)
    window: simpy.Resource = field(init=False)

    def __post_init__(self) -> None:
        """Build the cluster."""
        env, policy = self.env, self.policy
        self.ingest = Pods(env, self.chart.ingest, self.times)
        self.scaler = Pods(env, self.chart.scaler, self.times)
        self.nodes = Nodes(env, self.world, self.times, policy.is_spot, random.Random(self.seed + 1))
        self.window = simpy.Resource(env, policy.window)

    def run(self) -> dict[str, Any]:
        """Fly, and return the figures."""
        env, chance = self.env, random.Random(self.seed)
        flights = [env.process(self._flight(*each)) for each in landings(self.world, chance)]
        env.run(until=env.all_of(flights))
        self.nodes.close()
        return self.figures()

    def _flight(self, landed_s: float, images: int, is_scaled: bool, seed: int) -> Steps:
        yield self.env.timeout(landed_s + self.times.settle_s)
        asked_s = self.env.now
        job = self.ingest.submit(self._staging_s(images))
        yield job.done
        if is_scaled:
            work_s = self.times.scaler_flight_s + self.times.scale_image_s * images
            pieces = math.ceil(images / piece_length(images))
            yield self.env.all_of([self.scaler.submit(work_s / pieces).done for _ in range(pieces)])
        staged_s = self.env.now
        with self.window.request() as admitted:
            yield admitted
            window_waited_s = self.env.now - staged_s
            self.peak_workflows = max(self.peak_workflows, self.window.count)
            yield self.env.timeout(self.times.gateway_flight_s)
            odm = Odm(self, images, random.Random(seed))
            yield from odm.run()
        self.flown.append(
            Flown(
                images=images,
                landed_s=landed_s,
                staged_waited_s=(job.began_at_s or asked_s) - asked_s,
                staged_s=staged_s - asked_s,
                window_waited_s=window_waited_s,
                node_waited_s=odm.node_waited_s,
                odm_s=odm.ran_s,
                total_s=self.env.now - landed_s,
                starts=odm.starts,
                out_of_memory=odm.out_of_memory,
                interruptions=odm.interruptions,
                lost_s=odm.lost_s,
                is_failed=odm.is_failed,
            )
        )

    def _staging_s(self, images: int) -> float:
        together = self.chart.ingest.per_replica
        rate = min(self.times.transfer_bytes_per_s, self.times.process_bytes_per_s / together)
        return self.times.ingest_flight_s + images * self.world.image_bytes / rate

    def figures(self) -> dict[str, Any]:
        """Return what came out."""
        flown = self.flown
        work_s = sum(each.odm_s for each in flown)
        return {
            "flights": len(flown),
            "images": sum(each.images for each in flown),
            "failed": sum(each.is_failed for each in flown),
            "wait_for_ingest_s": quantiles([each.staged_waited_s for each in flown]),
            "staging_s": quantiles([each.staged_s for each in flown]),
            "wait_for_window_s": quantiles([each.window_waited_s for each in flown]),
            "wait_for_node_s": quantiles([each.node_waited_s for each in flown]),
            "odm_s": quantiles([each.odm_s for each in flown]),
            "landing_to_end_s": quantiles([each.total_s for each in flown]),
            "peak_workflows": self.peak_workflows,
            "peak_nodes": self.nodes.peak,
            "peak_ingest_pods": self.ingest.peak,
            "peak_scaler_pods": self.scaler.peak,
            "handed_back_transfers": self.ingest.handed_back,
            "out_of_memory": sum(each.out_of_memory for each in flown),
            "interruptions": sum(each.interruptions for each in flown),
            "lost_percent": round(100 * sum(each.lost_s for each in flown) / max(work_s, 1), 2),
            "core_h": round(self.core_s / HOUR_S),
            "usd": round(self.nodes.usd),
            "usd_per_flight": round(self.nodes.usd / max(len(flown), 1), 3),
        }


@dataclass(slots=True)
class Odm:
    """One workflow's step of ODM, with all its starts."""

    day: Day
    images: int
    chance: random.Random
    starts: int = 0
    out_of_memory: int = 0
    interruptions: int = 0
    node_waited_s: float = 0.0
    ran_s: float = 0.0
    lost_s: float = 0.0
    is_failed: bool = False

    def run(self) -> Steps:
        """Start until it succeeds, or was started often enough."""
        day, chance = self.day, self.chance
        expected_gib = size_of(self.images, 0, (), LIMITS).memory_gib[0] / HEADROOM
        peak_gib = expected_gib * chance.lognormvariate(0, day.world.peak_sigma)
        work_s = self.images * day.times.odm_image_s * chance.lognormvariate(0, day.world.duration_sigma)
        done = 0.0
        for rung in range(STARTS_AT_MOST):
            self.starts += 1
            memory_gib = min(day.policy.ladder.gib(expected_gib, rung), day.world.node_gib)
            until = 1.0 if memory_gib >= peak_gib else max(done, chance.uniform(*day.world.killed_at))
            reached = yield from self._start(memory_gib, (until - done) * work_s, work_s, done)
            if reached >= 1.0:
                return
            kept = stage_before(reached, day.world.odm_stages) if day.policy.resumes else 0.0
            self.out_of_memory += reached >= until
            self.lost_s += (reached - kept) * work_s
            done = kept
        self.is_failed = True

    def _start(
        self, memory_gib: float, run_s: float, work_s: float, done: float
    ) -> Generator[Any, Any, float]:
        """Run one pod; return how far ODM got."""
        day, asked_s = self.day, self.day.env.now
        cores = math.ceil(memory_gib / GIB_PER_CORE)
        node: Node = yield day.nodes.ask(cores, memory_gib)
        self.node_waited_s += day.env.now - asked_s
        began_s, own = day.env.now, day.env.active_process
        assert own is not None
        node.running[own] = None
        try:
            yield day.env.timeout(day.times.pod_start_s + run_s)
        except simpy.Interrupt:
            self.interruptions += 1
        node.running.pop(own, None)
        took_s = day.env.now - began_s
        day.core_s += took_s * cores
        self.ran_s += took_s
        if not node.is_gone:
            day.nodes.give_back(node, cores, memory_gib)
        return done + max(0.0, took_s - day.times.pod_start_s) / work_s + 1e-9


def stage_before(reached: float, stages: Sequence[float]) -> float:
    """Return the end of the last of ``stages`` that is behind ODM."""
    return max((end for end in stages if end <= reached), default=0.0)


def landings(world: World, chance: random.Random) -> Iterator[tuple[float, int, bool, int]]:
    """Return when each flight lands, its images, whether they are to be scaled, and what seeds its luck."""
    middle = math.log(world.mean_images) - world.images_sigma**2 / 2
    for _ in range(world.flights):
        images = max(5, round(chance.lognormvariate(middle, world.images_sigma)))
        is_scaled = chance.random() < world.scaled_share
        yield landing_s(chance.random(), world.day), images, is_scaled, chance.getrandbits(64)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the middle and the slow end."""
    ordered = sorted(values)
    return {f"p{percent}": round(percentile(ordered, percent), 1) for percent in (50, 95, 99) if ordered}
