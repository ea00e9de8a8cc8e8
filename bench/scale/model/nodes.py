"""Nodes that come when a pod does not fit, and go when they are idle; spot nodes may be taken at any time."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import simpy

from bench.scale.model.parameters import Times, World
from bench.scale.model.pods import Steps

HOUR_S = 3600.0


@dataclass(slots=True, eq=False)
class Node:
    """One machine and what is free of it."""

    cores: float
    gib: float
    is_spot: bool
    began_s: float
    running: dict[simpy.Process, None] = field(default_factory=dict)
    """In the order in which they came."""
    is_gone: bool = False
    idle_since_s: float = 0.0


@dataclass(slots=True, eq=False)
class Asked:
    """A pod that waits for a node."""

    cores: float
    gib: float
    placed: simpy.Event


@dataclass(slots=True)
class Nodes:
    """All nodes of a cluster, of one capacity type."""

    env: simpy.Environment
    world: World
    times: Times
    is_spot: bool
    chance: random.Random
    peak: int = 0
    node_s: float = 0.0
    interrupted: int = 0
    _nodes: list[Node] = field(default_factory=list)
    _pending: deque[Asked] = field(default_factory=deque)
    _starting: int = 0

    @property
    def usd(self) -> float:
        """Return what the nodes cost that are gone; ``close`` counts the others."""
        world = self.world
        price = world.spot_usd_per_core_h if self.is_spot else world.on_demand_usd_per_core_h
        return self.node_s / HOUR_S * world.node_cores * price

    @property
    def free_cores(self) -> float:
        """Return how many cores of all nodes no pod has."""
        return sum(node.cores for node in self._nodes)

    @property
    def cores(self) -> int:
        """Return how many there are."""
        return self.world.node_cores * len(self._nodes)

    def ask(self, cores: float, gib: float) -> simpy.Event:
        """Return an event whose value is the node that a pod got."""
        asked = Asked(min(cores, self.world.node_cores), min(gib, self.world.node_gib), self.env.event())
        self._pending.append(asked)
        self._place()
        return asked.placed

    def give_back(self, node: Node, cores: float, gib: float) -> None:
        """Free what a pod had."""
        node.cores += min(cores, self.world.node_cores)
        node.gib += min(gib, self.world.node_gib)
        node.idle_since_s = self.env.now
        self._place()

    def close(self) -> None:
        """Count the nodes that still run."""
        for node in self._nodes:
            self.node_s += self.env.now - node.began_s

    def _place(self) -> None:
        left: deque[Asked] = deque()
        for asked in self._pending:
            node = next((n for n in self._nodes if n.cores >= asked.cores and n.gib >= asked.gib), None)
            if node is None:
                left.append(asked)
            else:
                node.cores -= asked.cores
                node.gib -= asked.gib
                asked.placed.succeed(node)
        self._pending = left
        self._order()

    def _order(self) -> None:
        """Have as many nodes started as what waits would fill."""
        cores = sum(asked.cores for asked in self._pending) / self.world.node_cores
        gib = sum(asked.gib for asked in self._pending) / self.world.node_gib
        needed = -int(-max(cores, gib) // 1)
        room = self.world.nodes_at_most - len(self._nodes) - self._starting
        for _ in range(min(room, needed - self._starting)):
            self._starting += 1
            self.env.process(self._life())

    def _life(self) -> Steps:
        began_s = self.env.now
        times = self.times
        yield self.env.timeout(times.node_start_s * self.chance.lognormvariate(0, times.node_start_sigma))
        self._starting -= 1
        node = Node(self.world.node_cores, self.world.node_gib, self.is_spot, began_s)
        node.idle_since_s = self.env.now
        self._nodes.append(node)
        self.peak = max(self.peak, len(self._nodes))
        self._place()
        ends_s = self.env.now + self._lifetime_s()
        while not self._is_idle(node) and self.env.now < ends_s:
            yield self.env.timeout(min(self.world.node_idle_s, ends_s - self.env.now))
        self._nodes.remove(node)
        self.node_s += self.env.now - node.began_s
        if node.running:
            node.is_gone = True
            self.interrupted += 1
            for process in list(node.running):
                process.interrupt("spot")
        self._order()

    def _lifetime_s(self) -> float:
        if not self.is_spot or not self.world.interruptions_per_h:
            return float("inf")
        return self.chance.expovariate(self.world.interruptions_per_h) * HOUR_S

    def _is_idle(self, node: Node) -> bool:
        return not node.running and self.env.now - node.idle_since_s >= self.world.node_idle_s
