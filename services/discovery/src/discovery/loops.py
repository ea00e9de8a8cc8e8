"""What discovery does by itself: scan its roots, and look again at flights that have to settle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from discovery.domain.flights import Flight, FlightState, PostedEvent
from discovery.finder import Finder
from shared.errors import PermanentError, TransientError
from shared.state import Collection, Order

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
    """Look again at flights that have not settled, for ever."""
    while True:
        await asyncio.sleep(every.total_seconds())
        await _look_at_settling(finder, every)


async def _look_at_settling(finder: Finder, every: timedelta) -> None:
    cursor: str | None = None
    while True:
        page = await finder.flights.find(
            {"state": FlightState.SETTLING.value}, order=Order("updated_at"), after=cursor
        )
        for document in page.items:
            if datetime.now(UTC) - document.body.updated_at >= every:
                await _look(finder, document.body)
        cursor = page.cursor
        if cursor is None:
            return


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


async def forget_posted(posted: Collection[PostedEvent], *, every: timedelta) -> None:
    """Forget posted events whose time is over, for ever."""
    while True:
        await posted.store.purge_expired(posted.spec.name, datetime.now(UTC))
        await asyncio.sleep(every.total_seconds())
