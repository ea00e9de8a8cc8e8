"""What discovery does by itself: scan its roots, and look again at flights that have to settle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from discovery.domain.flights import Flight, FlightState
from discovery.finder import Finder
from shared.errors import PermanentError, TransientError
from shared.state import Order
from shared.state.port import Store

log = structlog.get_logger()


async def scan_roots(finder: Finder, roots: Sequence[str], *, every: timedelta) -> None:
    """Scan every root, for ever; one that fails does not keep the others waiting."""
    async with asyncio.TaskGroup() as scans:
        for root in roots:
            scans.create_task(_scan_again_and_again(finder, root, every), name=f"scan {root}")


async def _scan_again_and_again(finder: Finder, root: str, every: timedelta) -> None:
    trouble: str | None = None
    while True:
        before, trouble = trouble, await _scan(finder, root)
        if trouble and trouble != before:  # once, not every minute
            log.warning("root.unreadable", root=root, error=trouble)
        await asyncio.sleep(every.total_seconds())


async def settle_flights(finder: Finder, *, every: timedelta) -> None:
    """Look again at flights that have not settled, for ever.

    Flights of one system are looked at one after the other, so that a system that does not answer keeps
    those of no other waiting.
    """
    looking: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as looks:
        while True:
            await asyncio.sleep(every.total_seconds())
            for system, flights in (await _settling(finder, every)).items():
                if system in looking and not looking[system].done():
                    continue
                looking[system] = looks.create_task(_look_at_all(finder, flights), name=f"settle {system}")
            looking = {system: task for system, task in looking.items() if not task.done()}


async def _settling(finder: Finder, every: timedelta) -> dict[str, list[Flight]]:
    """Return the flights that are to be looked at now, by system."""
    found: dict[str, list[Flight]] = {}
    async for document in finder.flights.each(
        {"state": FlightState.SETTLING.value}, order=Order("updated_at")
    ):
        if datetime.now(UTC) - document.body.updated_at >= every:
            system = f"{document.body.source.partition(':')[0]}:{document.body.system_id}"
            found.setdefault(system, []).append(document.body)
    return found


async def _look_at_all(finder: Finder, flights: Sequence[Flight]) -> None:
    for flight in flights:
        await _look(finder, flight)


async def _scan(finder: Finder, root: str) -> str | None:
    """Scan a root once and return why that failed, if it did."""
    try:
        count = await finder.scan(root)
    except (PermanentError, TransientError) as error:
        return str(error)
    log.debug("root.scanned", root=root, flights=count)
    return None


async def _look(finder: Finder, flight: Flight) -> None:
    try:
        await finder.look(flight)
    except (PermanentError, TransientError) as error:
        if flight.trouble != str(error):
            log.warning("flight.unreadable", flight_id=flight.flight_id, error=str(error))
        await finder.note_trouble(flight, str(error))


async def forget_expired(store: Store, collections: Sequence[str], *, every: timedelta) -> None:
    """Forget documents whose time is over, for ever."""
    while True:
        for collection in collections:
            await store.purge_expired(collection, datetime.now(UTC))
        await asyncio.sleep(every.total_seconds())
