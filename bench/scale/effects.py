"""What lies in the backends behind the run: each thing once, and nothing left over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.support.rabbitmq import RabbitMQ

from bench.scale.cluster import COUNTS
from bench.scale.fleet import state_url
from bench.scale.ledger import Ledger
from discovery.collections import FLIGHTS, POSTED
from discovery.resources import SUBSCRIPTIONS as DISCOVERY
from ingest.collections import JOURNAL, TRANSFERS
from ingest.resources import SUBSCRIPTIONS as INGEST
from mover.resources import SUBSCRIPTIONS as MOVER
from odm_gateway.loops import TASKS
from odm_gateway.resources import SUBSCRIPTIONS as GATEWAY
from scaler.collections import JOBS, PIECES
from scaler.resources import SUBSCRIPTIONS as SCALER
from shared.messaging.bus import open_transport
from shared.messaging.port import UNROUTED_QUEUE
from shared.messaging.topology import dead_queue, retry_queue
from shared.settings import PlatformSettings
from shared.state.open import open_store
from shared.state.port import CollectionSpec, Store

SUBSCRIPTIONS = (*DISCOVERY, *INGEST, *SCALER, *MOVER, *GATEWAY)
QUEUES = [each.queue for each in SUBSCRIPTIONS]
COLLECTIONS: dict[str, tuple[CollectionSpec, ...]] = {
    "discovery": (FLIGHTS, POSTED),
    "ingest": (TRANSFERS, JOURNAL),
    "scaler": (JOBS, PIECES),
    "odm-gateway": (TASKS,),
}


@dataclass(frozen=True, slots=True)
class Expected:
    """How many documents there are if each thing was done once."""

    collection: str
    field: str
    value: str | int
    count: int


def expectations(ledger: Ledger) -> list[Expected]:
    """Return what has to lie in the backends after all flights of ``ledger``."""
    flights = len(ledger.published)
    scaled = sum(flight.is_scaled for flight in ledger.published.values())
    return [
        Expected(FLIGHTS.name, "state", "completed", flights),
        Expected(TRANSFERS.name, "state", "staged", flights),
        Expected(JOURNAL.name, "state", "staged", flights * ledger.images),
        Expected(JOBS.name, "state", "done", scaled),
        Expected(TASKS.name, "status", 40, flights),
    ]


async def differences(folder: Path, broker: RabbitMQ, ledger: Ledger, webhooks: Counter[str]) -> list[str]:
    """Return a sentence for everything in the backends that should be otherwise."""
    found: list[str] = []
    async with AsyncExitStack() as stack:
        for service, specs in COLLECTIONS.items():
            store = await stack.enter_async_context(open_store(state_url(folder, service)))
            await store.declare(*specs)
            wanted = [each for each in expectations(ledger) if each.collection in {s.name for s in specs}]
            found += [line async for line in _miscounted(store, wanted)]
            for spec in specs:
                found += [f"{spec.name}: untold events" for _ in await store.pending(spec.name, 1)]
    found += await _left_in_queues(broker)
    found += _workflows(folder / COUNTS, len(ledger.published))
    found += _webhooks(ledger, webhooks)
    return found


async def untidy(folder: Path) -> int:
    """Return how many tasks have something left in the cluster."""
    async with open_store(state_url(folder, "odm-gateway")) as store:
        await store.declare(TASKS)
        return await store.count(TASKS.name, {"untidy": True})


async def _miscounted(store: Store, wanted: Iterable[Expected]) -> AsyncIterator[str]:
    for each in wanted:
        count = await store.count(each.collection, {each.field: each.value})
        every = await store.count(each.collection, {})
        if (count, every) != (each.count, each.count):
            yield f"{each.collection}: {count} of {every} are {each.value}, {each.count} should be"


async def _left_in_queues(broker: RabbitMQ) -> list[str]:
    ladder = PlatformSettings().retry_ladder
    names = [
        *QUEUES,
        *(dead_queue(queue) for queue in QUEUES),
        *(retry_queue(queue, delay) for queue in QUEUES for delay in ladder),
        UNROUTED_QUEUE,
    ]
    async with open_transport(broker.url) as transport:
        depths = {name: await transport.depth(name) for name in names}
    return [f"{name}: {depth} messages" for name, depth in depths.items() if depth]


def _workflows(path: Path, flights: int) -> list[str]:
    counts = json.loads(path.read_text())
    found = [f"workflow {name} was made {count} times" for name, count in counts["made"].items() if count > 1]
    if len(counts["made"]) != flights:
        found.append(f"{len(counts['made'])} workflows were made for {flights} flights")
    left = {name: counts[name] for name in ("workflows_left", "claims_left") if counts[name]}
    return [*found, *(f"{name}: {count}" for name, count in left.items())]


def _webhooks(ledger: Ledger, webhooks: Counter[str]) -> list[str]:
    """Return what is wrong with the deliveries that the receiver of webhooks tells apart by their ids."""
    flights = len(ledger.published)
    return [] if len(webhooks) == flights else [f"{len(webhooks)} webhooks for {flights} flights"]


def shown(lines: Sequence[str], at_most: int = 10) -> str:
    """Return the first of many lines."""
    more = [f"… and {len(lines) - at_most} more"] if len(lines) > at_most else []
    return "\n".join([*lines[:at_most], *more])
