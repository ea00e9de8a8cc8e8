"""What discovery hears: how far the flights are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from discovery.domain.flights import Flight, completed, staged
from shared.events import Event, FlightFound, ImagesStaged, TaskCompleted
from shared.state import Collection


async def note_found(
    event: Event[FlightFound], *, also: Sequence[Callable[[Event[FlightFound]], Awaitable[None]]]
) -> None:
    """Tell those that want to hear of found flights."""
    for tell in also:
        await tell(event)


async def note_staged(
    event: Event[ImagesStaged],
    *,
    flights: Collection[Flight],
    also: Sequence[Callable[[Event[ImagesStaged]], Awaitable[None]]] = (),
) -> None:
    """Write down that a flight's images are staged, or scaled."""
    told = event.data
    await _ensure(flights, told.flight_id, told.name, told.prefix)
    now = datetime.now(UTC)
    await flights.update(told.flight_id, lambda flight: staged(flight, told, now), seen=event)
    for tell in also:
        await tell(event)


async def note_completed(
    event: Event[TaskCompleted],
    *,
    flights: Collection[Flight],
    also: Sequence[Callable[[Event[TaskCompleted]], Awaitable[None]]] = (),
) -> None:
    """Write down how the processing of a flight ended; tasks without a flight are nobody's here."""
    told = event.data
    if told.flight_id is None or told.kind == "datalab":
        return
    await _ensure(flights, told.flight_id, told.name, told.outputs or "")
    await flights.update(told.flight_id, lambda flight: completed(flight, told), seen=event)
    for tell in also:
        await tell(event)


async def _ensure(flights: Collection[Flight], flight_id: str, name: str, source: str) -> None:
    """Make a record for a flight that an outside system announced."""
    if await flights.get(flight_id) is None:
        now = datetime.now(UTC)
        new = Flight(flight_id=flight_id, name=name, source=source, created_at=now, updated_at=now)
        await flights.ensure(flight_id, new)
