"""What ingest hears: flights to stage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from ingest.domain.transfers import Transfer, TransferState, asked, images_staged, transfer_id, untold
from shared.events import Event, FlightFound, new_event
from shared.state import Change, Collection

SERVICE = "flightline/ingest"


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


def answer_id(ask: Event[FlightFound], outcome: str) -> str:
    """Name the one event that tells whoever asked of the outcome."""
    return str(uuid5(NAMESPACE_URL, f"ingest/{outcome}/{ask.key}"))


def told(transfer: Transfer, now: datetime) -> Change[Transfer]:
    """Return the transfer and what everybody who asked has to hear of it."""
    if transfer.state is not TransferState.STAGED or transfer.staged is None:
        return Change(transfer)
    asks = untold(transfer)
    events = [
        new_event(SERVICE, images_staged(ask, transfer.staged), event_id=answer_id(ask, "staged"), cause=ask)
        for ask in asks
    ]
    reruns = (*transfer.told, *(ask.data.rerun for ask in asks))
    return Change(transfer.model_copy(update={"told": reruns, "updated_at": now}), events)
