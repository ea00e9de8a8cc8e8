"""Server-sent events: what happens to one flight, or to all that somebody may see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from starlette.status import HTTP_503_SERVICE_UNAVAILABLE

from discovery.domain.flights import Flight, FlightState
from discovery.domain.stages import viewed
from discovery.feed import Feed, Listener, Told
from discovery.routes.asking import TheProjects
from discovery.sight import Sharing, may_see, shared_with
from shared.errors import NotFoundError
from shared.service.event_stream import SEND_WITHIN_S, EventStream
from shared.state import Collection, OneOf, Order

router = APIRouter()

HEARTBEAT_S = 15.0
RETRY = b"retry: 3000\n\n"
HEARTBEAT = b": still here\n\n"
SNAPSHOT_AT_MOST = 100
ACTIVE = OneOf(
    (
        FlightState.SETTLING.value,
        FlightState.STAGING.value,
        FlightState.SCALING.value,
        FlightState.PROCESSING.value,
    )
)
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}
}

Snapshot: TypeAlias = Callable[[], Awaitable[list[bytes]]]
Visible: TypeAlias = Callable[[Told], Awaitable[bool]]


async def viewer(request: Request) -> str | None:
    """Return the owner whose flights alone the caller may see; None: all.

    ``request.state.viewer_of`` says so, where users log in.
    """
    viewer_of: Callable[[Request], Awaitable[str | None]] | None = getattr(request.state, "viewer_of", None)
    return await viewer_of(request) if viewer_of else None


Viewer = Annotated[str | None, Depends(viewer)]
LastHeard = Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)]


@router.get(
    "/api/flights/{flight_id}/events",
    summary="Follow one flight, as server-sent events",
    response_class=EventStream,
    status_code=200,  # said, since the class has no default that the API document could take
    responses=ANSWERS,
)
async def follow_flight(
    flight_id: str, request: Request, owner: Viewer, projects: TheProjects, last_heard: LastHeard = None
) -> EventStream:
    """Send ``flight`` with all that is known, then ``state`` and ``progress`` as they happen."""
    flights: Collection[Flight] = request.state.flights
    flight = await flights.get(flight_id)
    if flight is None or not await may_see(projects.projects, owner, flight.body):
        raise NotFoundError(f"there is no flight {flight_id}")

    async def visible(told: Told) -> bool:
        return told.flight_id == flight_id

    async def snapshot() -> list[bytes]:
        return [_frame((await flights.load(flight_id)).body)]

    return _stream(request, last_heard, visible, snapshot)


@router.get(
    "/api/progress",
    summary="Follow all flights, as server-sent events",
    response_class=EventStream,
    status_code=200,  # said, since the class has no default that the API document could take
    responses=ANSWERS,
)
async def follow_all(
    request: Request, owner: Viewer, projects: TheProjects, last_heard: LastHeard = None
) -> EventStream:
    """Send ``flight`` for what is under way, then ``state`` and ``progress`` as they happen."""
    flights: Collection[Flight] = request.state.flights
    feed: Feed = request.state.feed
    sharing = Sharing(projects.projects, owner or "")

    async def visible(told: Told) -> bool:
        if owner is None or await feed.owner_of(told.flight_id) == owner:
            return True
        return await sharing.includes(told.flight_id)

    async def snapshot() -> list[bytes]:
        wanted: list[dict[str, Any]] = [{} if owner is None else {"owner": owner}]
        if owner is not None and (ids := await shared_with(projects.projects, owner)):
            wanted.append({"id": OneOf(ids)})
        order = Order("updated_at", descending=True)
        pages = [
            await flights.find({"state": ACTIVE} | where, order=order, limit=SNAPSHOT_AT_MOST)
            for where in wanted
        ]
        return [_frame(document.body) for page in pages for document in page.items]

    return _stream(request, last_heard, visible, snapshot)


def _stream(request: Request, last_heard: str | None, visible: Visible, snapshot: Snapshot) -> EventStream:
    feed: Feed = request.state.feed
    if feed.is_full:
        raise HTTPException(
            HTTP_503_SERVICE_UNAVAILABLE, "Too many follow already.", headers={"Retry-After": "30"}
        )
    heartbeat_s: float = getattr(request.state, "heartbeat_s", HEARTBEAT_S)
    frames = _frames(feed, last_heard, visible, snapshot, heartbeat_s)
    within_s: float = getattr(request.state, "send_within_s", SEND_WITHIN_S)
    return EventStream(frames, request.app.state.service.draining, send_within_s=within_s)


async def _frames(
    feed: Feed, last_heard: str | None, visible: Visible, snapshot: Snapshot, heartbeat_s: float
) -> AsyncGenerator[bytes, None]:
    yield RETRY
    async with feed.listening(last_heard) as (listener, is_seamless):
        if not is_seamless:
            for frame in await snapshot():
                yield frame
        clock = asyncio.get_running_loop().time
        quiet_until_s = clock() + heartbeat_s
        while not listener.dropped.is_set():
            told = await _next(listener, quiet_until_s - clock())
            if told and await visible(told):
                yield told.frame
            elif clock() >= quiet_until_s:
                yield HEARTBEAT
            else:
                continue
            quiet_until_s = clock() + heartbeat_s


async def _next(listener: Listener, within_s: float) -> Told | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            return await listener.waiting.get()
    return None


def _frame(flight: Flight) -> bytes:
    return f"event: flight\ndata: {viewed(flight).model_dump_json()}\n\n".encode()
