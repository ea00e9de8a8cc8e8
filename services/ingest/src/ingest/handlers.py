"""What ingest hears: flights to stage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ingest.domain.transfers import Transfer, asked, transfer_id
from ingest.telling import told
from shared.events import Event, FlightFound
from shared.state import Collection


async def begin_transfer(
    event: Event[FlightFound], *, transfers: Collection[Transfer], wake: Callable[[], None]
) -> None:
    """Write down that a version is to be staged; what is staged already is told at once."""
    now = datetime.now(UTC)
    new = Transfer(asks=(event,), created_at=now, updated_at=now)
    name = transfer_id(event.data)
    _, is_new = await transfers.ensure(name, new, seen=event)
    if not is_new:
        await transfers.update(name, lambda transfer: told(asked(transfer, event, now), now), seen=event)
    wake()
