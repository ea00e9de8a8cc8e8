"""A flight that was processed makes a session with its products, or extends the one that it has."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

import structlog

from datalab.inputs.stored import PRODUCTS
from shared.errors import InvalidInputError
from shared.events import Event, TaskCompleted
from shared.objects.port import ObjectStore

ENDINGS = (".tif", ".tiff")

log = structlog.get_logger(__name__)


class FlightSessions(Protocol):
    """Whoever keeps sessions."""

    def for_flight(self, owner: str, flight: str, name: str, items: Sequence[Any]) -> Awaitable[object]:
        """Have a session of a flight that holds ``items``; what is there stays."""


async def show_products(
    event: Event[TaskCompleted], *, sessions: FlightSessions, objects: ObjectStore, owner: str
) -> None:
    """Put the pictures that came out of a flight into its session; again with the same result."""
    done = event.data
    if not owner or done.kind != "odm" or done.status != "completed" or not done.flight_id:
        return
    folder = _folder(objects, done.outputs)
    items = [
        {"type": "geotiff", "source": "product", "basename": f"{folder}/{asset}"}
        for asset in sorted(done.assets)
        if asset.lower().endswith(ENDINGS)
    ]
    if folder and items:
        await sessions.for_flight(owner, done.flight_id, done.name, items)
        log.info("flight.shown", products=len(items))


def _folder(objects: ObjectStore, outputs: str | None) -> str:
    """Return where products lie below ``products/``; nothing where they are not ours to read."""
    try:
        key = objects.key(outputs or "")
    except InvalidInputError:
        return ""
    prefix = f"{PRODUCTS}/"
    return key.removeprefix(prefix).rstrip("/") if key.startswith(prefix) else ""
