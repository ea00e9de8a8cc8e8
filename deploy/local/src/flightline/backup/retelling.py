"""Tells again what a bus that was lost may have held: documents know what was told, and to whom it matters.

Every event has the id under which it was told before, so that whoever did hear it does nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from discovery.collections import FLIGHTS
from discovery.domain.flights import ENDED, Flight, FlightState, Run, found_again
from discovery.finder import found_event
from ingest.collections import TRANSFERS
from ingest.domain.transfers import Transfer
from ingest.telling import answers as answers_of_ingest
from odm_gateway.domain.completion import completion
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.loops import TASKS
from scaler.collections import JOBS
from scaler.domain.jobs import Job
from scaler.jobs.telling import answers as answers_of_scaler
from shared.events import Event, ImagesStaged, TaskCompleted
from shared.messaging.codec import encode
from shared.messaging.port import UnroutableError
from shared.platform import Platform
from shared.state import Between, Collection, OneOf

UNDER_WAY = (FlightState.STAGING, FlightState.SCALING, FlightState.PROCESSING)
SLACK = timedelta(hours=1)
"""What a message may have waited besides the retry ladder."""

log = structlog.get_logger()


@dataclass(slots=True)
class Told:
    """How many events were told again, by type."""

    events: Counter[str] = field(default_factory=Counter)


async def retell(platform: Platform, *, before: datetime, dry_run: bool = False) -> Told:
    """Tell again whatever may have been told and not heard when the bus was lost.

    That is what flights under way wait for, and all that was told within the length of the retry ladder and
    an hour before the loss. What users have seen the end of is not told again.

    Args:
        platform: Backends with the state.
        before: When the bus was lost.
        dry_run: Only count.
    """
    since = before.astimezone(UTC) - sum(platform.settings.retry_ladder, timedelta()) - SLACK
    told, ids = Told(), set[str]()
    async for event in _events(platform, f"{since:%Y-%m-%dT%H:%M:%S}"):
        if event.id in ids:  # a flight waits for it, and it was told lately
            continue
        ids.add(event.id)
        told.events[event.type] += 1
        if dry_run:
            continue
        with suppress(UnroutableError):  # kept for whoever will want it
            await platform.transport.publish(encode(event))
    if not dry_run:
        log.info("bus.told_again", **told.events)
    return told


async def _events(platform: Platform, since: str) -> AsyncIterator[Event[Any]]:
    await platform.store.declare(FLIGHTS, TRANSFERS, JOBS, TASKS)
    flights = Collection(platform.store, FLIGHTS, Flight)
    transfers = Collection(platform.store, TRANSFERS, Transfer)
    async for event in _of_flights(flights, transfers):
        yield event
    recent = {"updated_at": Between(low=since)}
    async for transfer in transfers.each(recent):
        async for event in _awaited(answers_of_ingest(transfer.body), flights):
            yield event
    async for job in Collection(platform.store, JOBS, Job).each(recent):
        async for event in _awaited(answers_of_scaler(job.body), flights):
            yield event
    async for event in _of_tasks(platform, flights, since):
        yield event


async def _of_flights(
    flights: Collection[Flight], transfers: Collection[Transfer]
) -> AsyncIterator[Event[Any]]:
    """Yield what flights under way have told, or wait for, however long ago it was told."""
    async for document in flights.each({"state": OneOf(tuple(state.value for state in UNDER_WAY))}):
        flight = document.body
        for run in flight.runs:
            if run.state not in UNDER_WAY:
                continue
            transfer = await transfers.get(f"{flight.flight_id}.{run.version}")
            if transfer is None:
                yield found_event(found_again(flight, run))
                continue
            if run.rerun not in {ask.data.rerun for ask in transfer.body.asks}:
                yield found_event(found_again(flight, run))
            for event in answers_of_ingest(transfer.body):
                if event.data.rerun == run.rerun:
                    yield event


async def _of_tasks(
    platform: Platform, flights: Collection[Flight], since: str
) -> AsyncIterator[Event[TaskCompleted]]:
    tasks = Collection(platform.store, TASKS, Task)
    for status in Status:
        if not status.finished:
            continue
        async for document in tasks.each({"status": status.value}):
            task = document.body
            ended = f"{task.finished_at:%Y-%m-%dT%H:%M:%S}" if task.finished_at else since
            if task.removing or (ended < since and not await _waits_for(task, flights)):
                continue
            yield completion(task, platform.objects.uri(task.products_key))


async def _waits_for(task: Task, flights: Collection[Flight]) -> bool:
    if task.flight is None:
        return False
    run = await _run(flights, task.flight.flight_id, task.flight.version, task.flight.rerun)
    return run is not None and run.state in UNDER_WAY


async def _awaited(
    events: list[Event[ImagesStaged] | Event[TaskCompleted]], flights: Collection[Flight]
) -> AsyncIterator[Event[Any]]:
    """Yield those of which no flight has seen the end: nothing is to be processed a second time."""
    for event in events:
        run = await _run(flights, event.data.flight_id or "", event.data.version or "", event.data.rerun)
        is_over = run is not None and run.state in ENDED
        if run is None or not is_over or run.ended_in_staging or run.ended_in_scaling:
            yield event


async def _run(flights: Collection[Flight], flight_id: str, version: str, rerun: int) -> Run | None:
    document = await flights.get(flight_id) if flight_id else None
    runs = document.body.runs if document else ()
    return next((run for run in runs if (run.version, run.rerun) == (version, rerun)), None)
