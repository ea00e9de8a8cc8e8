"""Kills of services and of the broker at moments drawn by chance, and how long until all goes on."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.support.rabbitmq import RabbitMQ

from bench.scale.fleet import SERVICES, Fleet, Member
from bench.scale.outside import Outside
from bench.scale.percentiles import percentile

SEED = 20261122
RECOVERED_WITHIN_S = 120.0
LOOK_EVERY_S = 0.05
PORT_LOOK_EVERY_S = 0.02
DOWN_S = (0.5, 3.0)
"""How long a killed broker stays away before it is started again; what was in hand is settled by then."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Times of the same kind, in seconds."""

    count: int
    p50_s: float
    p95_s: float
    most_s: float


def spread(times_s: list[float]) -> Spread | None:
    """Return how times are spread; None: there are none."""
    if not times_s:
        return None
    ordered = sorted(times_s)
    p50, p95 = (round(percentile(ordered, percent), 2) for percent in (50, 95))
    return Spread(len(ordered), p50, p95, round(ordered[-1], 2))


@dataclass(slots=True)
class Harm:
    """What was done, and how long each service took to handle an event again."""

    kills: dict[str, int] = field(default_factory=dict)
    after_broker_s: dict[str, list[float]] = field(default_factory=dict)
    """From the open port to the first delivery that was settled, by service."""
    after_start_s: dict[str, list[float]] = field(default_factory=dict)
    """From the start of the service's new process."""
    broker_away_s: list[float] = field(default_factory=list)
    not_recovered: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Return how many kills there were."""
        return sum(self.kills.values())

    def figures(self) -> Mapping[str, Any]:
        """Return all figures."""
        every = [time_s for times in self.after_broker_s.values() for time_s in times]
        begun = [time_s for times in self.after_start_s.values() for time_s in times]
        return {
            "kills": self.count,
            "by_kind": self.kills,
            "recovery_after_port_opens": spread(every),
            "by_service": {name: spread(times) for name, times in self.after_broker_s.items()},
            "recovery_after_process_start": spread(begun),
            "broker_away": spread(self.broker_away_s),
            "not_recovered": self.not_recovered,
        }


@dataclass(slots=True)
class Killer:
    """Harms a fleet and its broker until there were enough kills."""

    broker_kills: int
    service_kills: int
    every_s: float
    """Mean of the pauses."""
    harm: Harm = field(default_factory=Harm)
    _random: random.Random = field(default_factory=lambda: random.Random(SEED))

    def plan(self) -> list[str]:
        """Return whom to kill, in an order drawn by chance; services each as often."""
        services = [SERVICES[number % len(SERVICES)] for number in range(self.service_kills)]
        brokers = ["stop_app" if number % 4 == 3 else "broker" for number in range(self.broker_kills)]
        self._random.shuffle(order := services + brokers)
        return order

    async def __call__(
        self, fleet: Fleet, broker: RabbitMQ, outside: Outside, is_over: asyncio.Event
    ) -> Harm:
        """Kill, and wait each time until what was killed works again."""
        for victim in self.plan():
            if await _is_set_within(is_over, self._random.expovariate(1 / self.every_s)):
                break
            self.harm.kills[victim] = self.harm.kills.get(victim, 0) + 1
            if victim in fleet.members:
                await self._kill_service(fleet, fleet.members[victim], outside, is_over)
            else:
                await self._kill_broker(fleet, broker, victim, outside, is_over)
        return self.harm

    async def _kill_service(
        self, fleet: Fleet, member: Member, outside: Outside, is_over: asyncio.Event
    ) -> None:
        await asyncio.to_thread(member.kill)
        member.start()
        await outside.retell()
        await self._note_recovery(fleet, member, 0.0, member.started_at_s, self.harm.after_start_s, is_over)

    async def _kill_broker(
        self, fleet: Fleet, broker: RabbitMQ, how: str, outside: Outside, is_over: asyncio.Event
    ) -> None:
        killed_at_s = time.monotonic()
        await asyncio.to_thread(broker.kill9 if how == "broker" else partial(broker.control, "stop_app"))
        await asyncio.sleep(self._random.uniform(*DOWN_S))
        before = {member.name: await _settled_before(fleet, member) for member in fleet.services}
        starting = asyncio.create_task(
            asyncio.to_thread(broker.start if how == "broker" else partial(_start_app, broker))
        )
        open_at_s = await _open_port(broker.port)
        self.harm.broker_away_s.append(open_at_s - killed_at_s)
        await asyncio.gather(
            outside.retell(),
            *(
                self._note_recovery(
                    fleet, member, before[member.name], open_at_s, self.harm.after_broker_s, is_over
                )
                for member in fleet.services
            ),
        )
        await starting

    async def _note_recovery(
        self,
        fleet: Fleet,
        member: Member,
        before: float,
        since_s: float,
        into: dict[str, list[float]],
        is_over: asyncio.Event,
    ) -> None:
        while time.monotonic() - since_s < RECOVERED_WITHIN_S:
            count = await fleet.handled(member)
            if count is not None and count > before:
                into.setdefault(member.name, []).append(time.monotonic() - since_s)
                return
            if is_over.is_set():
                return  # nothing may be left for it to handle
            await asyncio.sleep(LOOK_EVERY_S)
        self.harm.not_recovered.append(member.name)


async def _settled_before(fleet: Fleet, member: Member) -> float:
    """Return how many deliveries a service has settled; one that does not answer is asked again."""
    async with asyncio.timeout(RECOVERED_WITHIN_S):
        while True:
            if (count := await fleet.handled(member)) is not None:
                return count
            await asyncio.sleep(LOOK_EVERY_S)


def _start_app(broker: RabbitMQ) -> None:
    broker.control("start_app")


async def _open_port(port: int) -> float:
    """Return when somebody listened on a port of loopback."""
    while True:
        with suppress(OSError):
            await asyncio.to_thread(_connect, port)
            return time.monotonic()
        await asyncio.sleep(PORT_LOOK_EVERY_S)


def _connect(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=0.5):
        pass


async def _is_set_within(event: asyncio.Event, within_s: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    return event.is_set()
