"""How fast the bus is, and what our layer costs over the bare client library.

    python -m bench.bus [--json] [--events 4000] [--repeats 5]

Peers run interleaved, in one process, on the same RabbitMQ and the same quorum queue; figures are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from uuid import uuid4

import aio_pika
import structlog
from aio_pika.abc import AbstractIncomingMessage
from tests.support.events import flight_found, one_queue
from tests.support.rabbitmq import running_rabbitmq

from shared.events import Event, FlightFound
from shared.messaging.bus import Bus, open_bus
from shared.messaging.port import EXCHANGE

PREFETCH = 50
PUBLISHERS = 200
SERVICE = "bench"
QUEUE = "bench.flight-found"


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    what: str
    per_second: float
    cpu_us: float


@dataclass
class Watch:
    """Wall and CPU time of a block of this process."""

    wall_s: float = 0.0
    cpu_s: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the block."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall_s, self.cpu_s = time.perf_counter() - wall, time.process_time() - cpu


async def publish_all(
    events: list[Event[FlightFound]], publish: Callable[[Event[FlightFound]], Awaitable[object]]
) -> Watch:
    """Publish ``events``, so many at a time, and wait for every confirm."""

    async def some(start: int) -> None:
        for event in events[start::PUBLISHERS]:
            await publish(event)

    watch = Watch()
    with watch.running():
        await asyncio.gather(*map(some, range(PUBLISHERS)))
    return watch


async def publish_raw(url: str, events: list[Event[FlightFound]]) -> Watch:
    """Publish with aio-pika alone: confirms and mandatory, as we do."""
    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.get_exchange(EXCHANGE)

        async def publish(event: Event[FlightFound]) -> None:
            message = aio_pika.Message(
                event.to_bytes(), delivery_mode=2, message_id=uuid4().hex, content_type="application/json"
            )
            await exchange.publish(message, "flight-found", timeout=8)

        return await publish_all(events, publish)


async def consume_raw(url: str, count: int) -> Watch:
    """Take ``count`` messages with aio-pika alone: no decoding, just an ack."""
    left, done, watch = count, asyncio.Event(), Watch()

    async def take(message: AbstractIncomingMessage) -> None:
        nonlocal left
        await message.ack()
        left -= 1
        if left == 0:
            done.set()

    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(PREFETCH)
        queue = await channel.get_queue(QUEUE)
        with watch.running():
            await queue.consume(take)
            await done.wait()
    return watch


async def consume_ours(bus: Bus, count: int) -> Watch:
    """Take ``count`` events with our consumer: decoding, validation, metrics, log context and ack."""
    left, done, watch = count, asyncio.Event(), Watch()

    async def take(_: Event[FlightFound]) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done.set()

    consumer = bus.consumer(prefetch=PREFETCH)
    consumer.on(FlightFound, take)
    with watch.running():
        async with consumer:
            await done.wait()
    return watch


async def rabbitmq_figures(url: str, count: int, repeats: int) -> list[Figure]:
    """Compare our layer with bare aio-pika."""
    runs: dict[str, list[Watch]] = {}
    async with open_bus(url, one_queue(SERVICE), service=SERVICE) as bus:
        for _ in range(repeats):
            events = [flight_found(f"f{number}") for number in range(count)]
            note(runs, "RabbitMQ publish, aio-pika", await publish_raw(url, events))
            note(runs, "RabbitMQ consume, aio-pika, ack only", await consume_raw(url, count))
            note(runs, "RabbitMQ publish, ours", await publish_all(events, bus.publish))
            note(runs, "RabbitMQ consume, ours, validated", await consume_ours(bus, count))
    return figures(runs, count)


async def sqlite_figures(count: int, repeats: int) -> list[Figure]:
    """Measure the embedded bus, every step on disk: from the first publish to the last ack."""
    runs: dict[str, list[Watch]] = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        async with open_bus(f"sqlite://{folder}/bus.db", one_queue(SERVICE), service=SERVICE) as bus:
            for _ in range(repeats):
                events = [flight_found(f"f{number}") for number in range(count)]
                watch = Watch()
                with watch.running():
                    await asyncio.gather(publish_all(events, bus.publish), consume_ours(bus, count))
                note(runs, "SQLite end to end, ours", watch)
    return figures(runs, count)


def note(runs: dict[str, list[Watch]], what: str, watch: Watch) -> None:
    """Keep one run."""
    runs.setdefault(what, []).append(watch)


def figures(runs: dict[str, list[Watch]], count: int) -> list[Figure]:
    """Return the medians of ``runs``."""
    return [
        Figure(
            what,
            round(statistics.median(count / watch.wall_s for watch in watches)),
            round(statistics.median(watch.cpu_s / count for watch in watches) * 1e6, 1),
        )
        for what, watches in runs.items()
    ]


def cpu_ratio(found: list[Figure], doing: str) -> float:
    """Return our CPU time per event over that of bare aio-pika."""
    raw, ours = (
        next(f for f in found if f.what.startswith(f"RabbitMQ {doing}, {by}")) for by in ("aio-pika", "ours")
    )
    return round(ours.cpu_us / raw.cpu_us, 2)


def main() -> None:
    """Run, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--events", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with running_rabbitmq() as broker:
        found = asyncio.run(rabbitmq_figures(broker.url, options.events, options.repeats))
    found += asyncio.run(sqlite_figures(options.events, options.repeats))
    ratios = {doing: cpu_ratio(found, doing) for doing in ("publish", "consume")}
    if options.json:
        print(json.dumps({"figures": [asdict(each) for each in found], "cpu_ratio": ratios}))
        return
    print(f"{'':40}{'per second':>12}{'CPU us each':>14}")
    for each in found:
        print(f"{each.what:40}{each.per_second:>12,.0f}{each.cpu_us:>14}")
    for doing, ratio in ratios.items():
        print(f"CPU of ours over aio-pika, {doing + 'ing' if doing == 'publish' else 'consuming'}: {ratio}x")


if __name__ == "__main__":
    main()
