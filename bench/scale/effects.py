"""What lies in the backends behind the run: each thing once, and nothing left over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.rabbitmq import RabbitMQ

from bench.scale.cluster import COUNTS
from bench.scale.fleet import state_url
from bench.scale.flight_set import Flight
from bench.scale.ledger import Ledger
from discovery.collections import FLIGHTS, POSTED
from discovery.resources import SUBSCRIPTIONS as DISCOVERY
from ingest.collections import JOURNAL, TRANSFERS
from ingest.domain.transfers import base_key
from ingest.resources import SUBSCRIPTIONS as INGEST
from mover.resources import SUBSCRIPTIONS as MOVER
from odm_gateway.loops import TASKS
from odm_gateway.resources import SUBSCRIPTIONS as GATEWAY
from scaler.collections import JOBS, PIECES
from scaler.resources import SUBSCRIPTIONS as SCALER
from shared.errors import NotFoundError
from shared.messaging.bus import open_transport
from shared.messaging.port import UNROUTED_QUEUE
from shared.messaging.topology import dead_queue, retry_queue
from shared.objects.open import open_objects
from shared.objects.port import ObjectStore
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


async def differences(folder: Path, broker: RabbitMQ, ledger: Ledger, webhooks: Collection[str]) -> list[str]:
    """Return a sentence for everything in the backends that should be otherwise."""
    found: list[str] = []
    async with AsyncExitStack() as stack:
        for service, specs in COLLECTIONS.items():
            store = await stack.enter_async_context(open_store(state_url(folder, service)))
            await store.declare(*specs)
            wanted = [each for each in expectations(ledger) if each.collection in {s.name for s in specs}]
            found += [line async for line in miscounted(store, wanted)]
            for spec in specs:
                found += [f"{spec.name}: untold events" for _ in await store.pending(spec.name, 1)]
    found += await _left_in_queues(broker)
    found += workflows(json.loads((folder / COUNTS).read_text()), len(ledger.published))
    found += untold(ledger, webhooks)
    async with open_objects(f"file://{folder}/objects") as objects:
        for flight in ledger.published.values():
            found += await unstaged(objects, flight)
    return found


async def untidy(folder: Path) -> int:
    """Return how many tasks have something left in the cluster."""
    async with open_store(state_url(folder, "odm-gateway")) as store:
        await store.declare(TASKS)
        return await store.count(TASKS.name, {"untidy": True})


async def miscounted(store: Store, wanted: Iterable[Expected]) -> AsyncIterator[str]:
    """Return a sentence for each collection that has other documents than it should."""
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


def workflows(counts: Mapping[str, Any], flights: int) -> list[str]:
    """Return what is wrong with the workflows of so many flights, by what the cluster has counted."""
    made, succeeded = counts["made"], counts["succeeded"]
    found = [f"workflow {name} was made {count} times" for name, count in made.items() if count > 1]
    found += [f"workflow {name} did not succeed once" for name in made if succeeded.get(name) != 1]
    if len(made) != flights:
        found.append(f"{len(made)} workflows were made for {flights} flights")
    left = {name: counts[name] for name in ("workflows_left", "claims_left") if counts[name]}
    return [*found, *(f"{name}: {count}" for name, count in left.items())]


def untold(ledger: Ledger, webhooks: Collection[str]) -> list[str]:
    """Return which ends no webhook has told, and what webhooks told that was none: both have the same ids."""
    told = set(webhooks)
    return [
        *(f"webhook of {event_id}: was not told" for event_id in ledger.ends - told),
        *(f"webhook of {event_id}: told of no end" for event_id in told - ledger.ends),
    ]


async def unstaged(objects: ObjectStore, flight: Flight) -> list[str]:
    """Return which photographs of a flight are not in the object store byte by byte, or not scaled."""
    base, found, photographs = base_key(flight.event.data), list[str](), sorted(flight.folder.glob("*.JPG"))
    for photograph in photographs:
        key = f"{base}/files/{photograph.name}"
        try:
            is_same = await objects.read(key) == await asyncio.to_thread(photograph.read_bytes)
        except NotFoundError:
            is_same = False
        if not is_same:
            found.append(f"{key}: is not what was photographed")
    scaled = [each.key async for each in objects.list(f"{base}/scaled-") if each.key.endswith(".JPG")]
    if len(scaled) != len(photographs) * flight.is_scaled:
        found.append(f"{base}: {len(scaled)} scaled images of {len(photographs)}")
    return found


def shown(lines: Sequence[str], at_most: int = 10) -> str:
    """Return the first of many lines."""
    more = [f"… and {len(lines) - at_most} more"] if len(lines) > at_most else []
    return "\n".join([*lines[:at_most], *more])
