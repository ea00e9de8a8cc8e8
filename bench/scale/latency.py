"""From publishing to handling at a steady rate, and how much a process publishes and handles.

The load is open: each event has its moment, and a late one is counted from there, however long others took.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.support.events import flight_found, one_queue
from tests.support.rabbitmq import running_rabbitmq

from bench.bus import SERVICE, cpu_ratio, rabbitmq_figures
from bench.scale.percentiles import percentile
from shared.errors import TransientError
from shared.events import Event, FlightFound
from shared.messaging.bus import Bus, open_bus

RATE_PER_S = 500
FOR_S = 20.0
WARM_S = 2.0


@dataclass(frozen=True, slots=True)
class Latency:
    """How long events took."""

    rate_per_s: int
    events: int
    p50_ms: float
    p99_ms: float
    most_ms: float
    cpu_percent: float
    """Of one core, publisher and consumer together."""


async def latency(url: str, rate_per_s: int = RATE_PER_S, *, for_s: float = FOR_S) -> Latency:
    """Publish at moments that are fixed before, and measure from each moment to its handler's call."""
    took_s: dict[str, float] = {}
    due_s: dict[str, float] = {}
    count, done = round(rate_per_s * (for_s + WARM_S)), asyncio.Event()

    async def take(event: Event[FlightFound]) -> None:
        took_s.setdefault(event.id, time.perf_counter() - due_s[event.id])
        if len(took_s) == count:
            done.set()

    async with open_bus(url, one_queue(SERVICE), service=SERVICE) as bus:
        consumer = bus.consumer(prefetch=50)
        consumer.on(FlightFound, take)
        async with consumer, asyncio.TaskGroup() as publishing:
            began_s, cpu_s = time.perf_counter(), time.process_time()
            for number in range(count):
                at_s = began_s + number / rate_per_s
                if (wait_s := at_s - time.perf_counter()) > 0:
                    await asyncio.sleep(wait_s)
                event = flight_found(f"f{number}")
                due_s[event.id] = at_s
                publishing.create_task(_published(bus, event))
            await asyncio.wait_for(done.wait(), 60)
            cpu_percent = 100 * (time.process_time() - cpu_s) / (time.perf_counter() - began_s)
    warm = list(due_s)[round(rate_per_s * WARM_S) :]
    ordered = sorted(took_s[event_id] * 1e3 for event_id in warm)
    p50, p99 = (percentile(ordered, percent) for percent in (50, 99))
    return Latency(
        rate_per_s, len(ordered), round(p50, 2), round(p99, 2), round(ordered[-1], 2), round(cpu_percent, 1)
    )


async def _published(bus: Bus, event: Event[FlightFound]) -> None:
    """Publish until it is confirmed, as an outbox does; what that takes is part of the latency."""
    while True:
        with suppress(TransientError):
            await bus.publish(event)
            return


def run(*, events: int = 4000, repeats: int = 5, for_s: float = FOR_S) -> dict[str, Any]:
    """Return latency, throughput and cost, all on one broker."""
    with running_rabbitmq() as broker:
        found = asyncio.run(rabbitmq_figures(broker.url, events, repeats))
        steady = asyncio.run(latency(broker.url, for_s=for_s))
    return {
        "latency": steady,
        "throughput": {each.what: {"per_second": each.per_second, "cpu_us": each.cpu_us} for each in found},
        "cpu_ratio": {doing: cpu_ratio(found, doing) for doing in ("publish", "consume")},
    }
