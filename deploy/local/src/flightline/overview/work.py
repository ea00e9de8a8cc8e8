"""Looking at the documents of all services: what is worked on, what waits, what failed lately."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from datalab.execution.collections import COMPUTATIONS
from discovery.collections import FLIGHTS
from discovery.domain.flights import FlightState
from flightline.overview.model import Failure, Item, Line
from ingest.collections import TRANSFERS
from mover.collections import MOVES
from odm_gateway.domain.tasks import OPEN, Status
from odm_gateway.loops import TASKS
from scaler.collections import JOBS, RAW_IMAGES
from shared.state.port import CollectionSpec, OneOf, Order, Record, Store, Where

LOOKED_AT = 100
FAILED_WITHIN = timedelta(days=1)
FAILURES_AT_MOST = 5

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of work, and how its documents say what an operator wants to know."""

    name: str
    service: str
    collection: CollectionSpec
    open: Where
    order: Order
    state: Callable[[Body], str]
    begun: Callable[[Body], datetime]
    progress: Callable[[Body], float | None]
    says: Callable[[Body], str]


@dataclass(frozen=True, slots=True)
class Ending:
    """Where failures of one kind stand, newest first."""

    name: str
    collection: CollectionSpec
    failed: Where
    newest_first: Order
    at: Callable[[Body], datetime | None]
    error: Callable[[Body], str]


def _moment(value: object) -> datetime:
    return datetime.fromisoformat(str(value))


def _from_us(value: object) -> datetime:
    return datetime.fromtimestamp(float(str(value)) / 1e6, UTC)


def _share(done: float, total: float) -> float | None:
    return min(1.0, done / total) if total else None


def _of(amounts: Body, what: str) -> str:
    return f"{amounts[f'{what}_done']} of {amounts[f'{what}_total']} {what}"


KINDS = (
    Kind(
        "transfer", "ingest", TRANSFERS,
        {"state": OneOf(("copying", "needs_login", "paused"))}, Order("due_s"),
        state=lambda body: str(body["state"]),
        begun=lambda body: _moment(body["created_at"]),
        progress=lambda body: _share(body["amounts"]["bytes_done"], body["amounts"]["bytes_total"]),
        says=lambda body: body["error"] or _of(body["amounts"], "files"),
    ),
    Kind(
        "scaling", "scaler", JOBS, {"state": OneOf(("scaling", "paused"))}, Order("created_at"),
        state=lambda body: str(body["state"]),
        begun=lambda body: _moment(body["created_at"]),
        progress=lambda body: _share(body["amounts"]["images_done"], body["amounts"]["images_total"]),
        says=lambda body: body["error"] or _of(body["amounts"], "images"),
    ),
    Kind(
        "raw image", "scaler", RAW_IMAGES, {"state": "waiting"}, Order("created_at"),
        state=lambda body: str(body["state"]),
        begun=lambda body: _moment(body["created_at"]),
        progress=lambda _: None,
        says=lambda body: body["error"] or "",
    ),
    Kind(
        "move", "mover", MOVES, {"state": "moving"}, Order("created_at"),
        state=lambda body: str(body["state"]),
        begun=lambda body: _moment(body["created_at"]),
        progress=lambda _: None,
        says=lambda body: str(body.get("why") or ""),
    ),
    Kind(
        "odm task", "odm-gateway", TASKS, {"status": OneOf(tuple(map(int, OPEN)))}, Order("inserted_us"),
        state=lambda body: Status(body["status"]).name.lower(),
        begun=lambda body: _moment(body["started_at"] or body["created_at"]),
        progress=lambda body: float(body["progress"]) / 100,
        says=lambda body: str(body["stage"]),
    ),
    Kind(
        "computation", "datalab", COMPUTATIONS, {"state": OneOf(("PENDING", "IN_PROGRESS"))}, Order("due_s"),
        state=lambda body: str(body["state"]).lower(),
        begun=lambda body: _from_us(body["started_us"] or body["created_us"]),
        progress=lambda body: float(body["progress"]),
        says=lambda body: str(body["message"]),
    ),
)  # fmt: skip

ENDINGS = (
    Ending(
        "flight", FLIGHTS, {"state": "failed"}, Order("updated_at", descending=True),
        at=lambda body: _moment(body["updated_at"]),
        error=lambda body: str((body["runs"] or [{}])[-1].get("error") or ""),
    ),
    Ending(
        "odm task", TASKS, {"status": int(Status.FAILED)}, Order("inserted_us", descending=True),
        at=lambda body: _moment(body["finished_at"]) if body["finished_at"] and not body["flight"] else None,
        error=lambda body: str(body["error"] or ""),
    ),
    Ending(
        "computation", COMPUTATIONS, {"state": "FAILED"}, Order("due_s", descending=True),
        at=lambda body: _from_us(body["ended_us"]),
        error=lambda body: str(body["message"]),
    ),
)  # fmt: skip
"""A flight's failure stands for those of its transfer and task."""


async def flights_by_state(store: Store) -> dict[str, int]:
    """Return how many flights are in each state."""
    states = [state.value for state in FlightState]
    counts = await asyncio.gather(*(store.count(FLIGHTS.name, {"state": state}) for state in states))
    return dict(zip(states, counts, strict=True))


async def open_work(store: Store, now: datetime) -> list[Line]:
    """Return what there is of each kind of work."""
    return await asyncio.gather(*(_line(store, kind, now) for kind in KINDS))


async def declare(store: Store) -> None:
    """Say which documents are asked for, and by which of their indexes."""
    await store.declare(FLIGHTS, *(kind.collection for kind in KINDS))


async def failures(store: Store, now: datetime) -> list[Failure]:
    """Return what failed last."""
    found = await asyncio.gather(*(_failures(store, ending) for ending in ENDINGS))
    return heapq.nlargest(
        FAILURES_AT_MOST,
        [failure for kind in found for failure in kind if now - failure.at < FAILED_WITHIN],
        key=lambda failure: failure.at,
    )


async def _line(store: Store, kind: Kind, now: datetime) -> Line:
    name = kind.collection.name
    page = await store.find(name, kind.open, order=kind.order, limit=LOOKED_AT)
    items = [_item(kind, record, now) for record in page.records]
    items.sort(key=lambda item: not item.is_held)
    count = len(items) if page.cursor is None else await store.count(name, kind.open)
    waiting_s = [item.since_s for item in items if not item.is_held]
    in_hand = sum(item.is_held for item in items)
    return Line(kind.name, kind.service, count, in_hand, max(waiting_s, default=None), items)


def _item(kind: Kind, record: Record, now: datetime) -> Item:
    body = record.body
    return Item(
        kind=kind.name,
        id=record.id,
        name=_name(body),
        state=kind.state(body),
        is_held=record.lease is not None and record.lease.until > now,
        since_s=max(0.0, (now - kind.begun(body)).total_seconds()),
        progress=kind.progress(body),
        says=" ".join(kind.says(body).split()),
    )


async def _failures(store: Store, ending: Ending) -> Sequence[Failure]:
    page = await store.find(
        ending.collection.name, ending.failed, order=ending.newest_first, limit=FAILURES_AT_MOST
    )
    found = [(record, ending.at(record.body)) for record in page.records]
    return [
        Failure(ending.name, record.id, _name(record.body), at, " ".join(ending.error(record.body).split()))
        for record, at in found
        if at is not None
    ]


def _name(body: Body) -> str:
    """Return what people call it; a file by its path."""
    return str(body.get("name") or body.get("path") or body.get("source") or "")
