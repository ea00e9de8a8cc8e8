"""Thousands of flights through a real RabbitMQ and the real processes of all services, each ending once."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from tests.support.rabbitmq import RabbitMQ, running_rabbitmq

from bench.scale.effects import QUEUES, differences, untidy
from bench.scale.fleet import Fleet, running_fleet
from bench.scale.flight_set import Plan, flights
from bench.scale.ledger import Ledger, Verdict
from bench.scale.outside import Outside
from bench.scale.sampling import Memory, Samples, memory

SILENT_AT_MOST_S = 180.0
"""A run in which no flight ends for so long is given up."""
SETTLED_WITHIN_S = 90.0
OPEN_AT_MOST = 600
"""Flights between their announcement and their end: there is work everywhere, and no backlog grows."""

Trouble = Callable[[Fleet, RabbitMQ, Outside, asyncio.Event], Coroutine[Any, Any, Any]]
"""What is done to them meanwhile, until the event is set."""


@dataclass(slots=True)
class Run:
    """What came out."""

    verdict: Verdict
    differences: list[str]
    wall_s: float
    samples: Samples
    webhooks: Counter[str]
    announced_again: int
    trouble: Any = None

    @property
    def is_clean(self) -> bool:
        """Return whether nothing was lost, doubled or left over."""
        return self.verdict.is_clean and not self.differences

    def figures(self) -> dict[str, Any]:
        """Return all figures, as JSON takes them."""
        flights, events = max(self.verdict.completed, 1), max(self.verdict.events, 1)
        cpu_s = self.samples.cpu_s
        return {
            "flights": self.verdict.flights,
            "completed": self.verdict.completed,
            "lost": list(self.verdict.lost),
            "doubled": list(self.verdict.doubled),
            "left_over": self.differences,
            "events": self.verdict.events,
            "told_again": self.verdict.told_again,
            "webhooks_told_again": sum(self.webhooks.values()) - len(self.webhooks),
            "announced_again": self.announced_again,
            "wall_s": round(self.wall_s, 1),
            "flights_per_s": round(flights / self.wall_s, 2),
            "events_per_s": round(events / self.wall_s, 1),
            "cpu_ms_per_flight": {name: round(used_s / flights * 1e3, 2) for name, used_s in cpu_s.items()},
            "cpu_ms_per_event": {name: round(used_s / events * 1e3, 2) for name, used_s in cpu_s.items()},
            "memory": {name: asdict(found) for name, found in self.memory().items()},
            "deepest_queues": self.samples.deepest,
            "load": round(statistics.median(self.samples.load), 1) if self.samples.load else 0.0,
        }

    def memory(self) -> dict[str, Memory]:
        """Return how memory went on, by process."""
        found = {name: memory(samples) for name, samples in self.samples.rss.items()}
        return {name: each for name, each in found.items() if each}


def run(plan: Plan, trouble: Trouble | None = None, *, folder: Path | None = None) -> Run:
    """Fly all flights of ``plan``, with ``trouble`` meanwhile."""
    with (
        tempfile.TemporaryDirectory(dir=folder or "/var/tmp", prefix="scale-") as name,
        running_rabbitmq() as on,
    ):
        return asyncio.run(_run(plan, Path(name), on, trouble))


async def _run(plan: Plan, folder: Path, broker: RabbitMQ, trouble: Trouble | None) -> Run:
    ledger, webhooks, samples = Ledger(plan.flights, plan.images), Counter[str](), Samples()
    ended = asyncio.Queue[str]()
    open_flights = asyncio.Semaphore(OPEN_AT_MOST)

    def end(flight_id: str) -> None:
        ended.put_nowait(flight_id)
        open_flights.release()

    outside = Outside(broker.url, ledger, end)
    source = folder / "flights"
    async with _receiver(webhooks) as webhook:
        async with running_fleet(folder, broker, webhook, source) as fleet, outside.connected():
            began_s, is_over = time.monotonic(), asyncio.Event()
            troubling = asyncio.create_task(trouble(fleet, broker, outside, is_over)) if trouble else None
            doing = [
                asyncio.create_task(samples.take(fleet, broker, outside)),
                asyncio.create_task(outside.announce(flights(source, plan), open_flights)),
                *([troubling] if troubling else []),
            ]
            try:
                await _until_ended(plan.flights, ended, doing)
                wall_s = time.monotonic() - began_s
                is_over.set()
                told = await troubling if troubling else None
                await _settled(outside, folder, ledger, webhooks)
            finally:
                for task in doing:
                    task.cancel()
            await fleet.stop()  # what they tell at their end is heard, too
            await outside.drained(SETTLED_WITHIN_S)
        found = await differences(folder, broker, ledger, webhooks)
    return Run(ledger.verdict(), found, wall_s, samples, webhooks, outside.again, told)


async def _until_ended(count: int, ended: asyncio.Queue[str], doing: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for the end of so many flights, or until there was none for too long, or a task has failed."""

    def notice(task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            ended.put_nowait("")

    for task in doing:
        task.add_done_callback(notice)
    for _ in range(count):
        try:
            await asyncio.wait_for(ended.get(), SILENT_AT_MOST_S)
        except TimeoutError:
            return
        for task in doing:
            if task.done():
                task.result()


async def _settled(outside: Outside, folder: Path, ledger: Ledger, webhooks: Counter[str]) -> None:
    """Give what comes behind the ends its time: webhooks, discovery's notes, what is tidied."""
    until_s = time.monotonic() + SETTLED_WITHIN_S
    while time.monotonic() < until_s:
        depths = await outside.depths(QUEUES)
        is_told = len(webhooks) >= len(ledger.completed)
        if depths and not any(depths.values()) and is_told and not await untidy(folder):
            await asyncio.sleep(3)  # what is unacknowledged is not counted among what waits
            return
        await asyncio.sleep(0.5)


@asynccontextmanager
async def _receiver(webhooks: Counter[str]) -> AsyncIterator[str]:
    async def hear(request: web.Request) -> web.Response:
        await request.read()
        webhooks[request.headers["X-Flightline-Delivery"]] += 1
        return web.Response()

    app = web.Application()
    app.router.add_post("/ended", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/ended"
    finally:
        await runner.cleanup()
