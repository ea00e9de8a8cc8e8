"""What discovery answers over HTTP: flights, requests to find one, and events from outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.status import HTTP_413_CONTENT_TOO_LARGE

from discovery.domain.flights import Flight, FlightState, PostedEvent
from discovery.finder import Finder
from shared.errors import InvalidInputError
from shared.events import Event, FlightFound, FlightOptions, ImagesStaged
from shared.messaging.codec import UnreadableError, decode, event_type
from shared.messaging.port import Message
from shared.service import authorised
from shared.state import AlreadyExistsError, Collection, Order

router = APIRouter()

POSTED_KEPT = timedelta(days=7)
EVENT_AT_MOST_BYTES = 1 << 20


class FlightPage(BaseModel):
    """Some flights and where the next ones begin."""

    flights: list[Flight]
    cursor: str | None = Field(description="Give it as `after` to get the next page; null: this is the last.")
    total: int


class DiscoverRequest(BaseModel):
    """Where to look for flights, and what is wanted of them."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, Field(examples=["s3://bucket/flights/field-7"], max_length=4096)]
    options: FlightOptions = FlightOptions()


class Discovered(BaseModel):
    """The flights that were found; each is announced once it has settled."""

    flights: list[Flight]


class Accepted(BaseModel):
    """An event that is stored and will be published."""

    id: str
    type: str
    duplicate: bool = Field(description="Whether the same event was accepted before.")


def _flights(request: Request) -> Collection[Flight]:
    flights: Collection[Flight] = request.state.flights
    return flights


Flights = Annotated[Collection[Flight], Depends(_flights)]


@router.get("/api/flights/", summary="List flights")
async def list_flights(
    flights: Flights,
    state: FlightState | None = None,
    sort: Literal["updated_at", "-updated_at", "name", "-name"] = "-updated_at",
    limit: Annotated[int, Query(gt=0, le=1000)] = 100,
    after: str | None = None,
) -> FlightPage:
    where = {"state": state.value} if state else {}
    order = Order(sort.lstrip("-"), descending=sort.startswith("-"))
    page = await flights.find(where, order=order, limit=limit, after=after)
    return FlightPage(
        flights=[document.body for document in page.items],
        cursor=page.cursor,
        total=await flights.count(where),
    )


@router.get("/api/flights/{flight_id}", summary="One flight and its runs")
async def get_flight(flight_id: str, flights: Flights) -> Flight:
    return (await flights.load(flight_id)).body


@router.post(
    "/api/discover",
    status_code=202,
    summary="Find the flights of a source and have them processed",
    dependencies=[Depends(authorised)],
)
async def discover(wanted: DiscoverRequest, request: Request) -> Discovered:
    finder: Finder = request.state.finder
    return Discovered(flights=await finder.ask(await finder.find(wanted.source), wanted.options))


@router.post(
    "/events",
    status_code=202,
    summary="Publish flight-found or images-staged from outside",
    dependencies=[Depends(authorised)],
)
async def post_event(request: Request) -> Accepted:
    posted: Collection[PostedEvent] = request.state.posted
    event = _readable(await _bounded_body(request), request)
    now = datetime.now(UTC)
    try:
        await posted.insert(
            sha256(event.key.encode()).hexdigest(),
            PostedEvent(key=event.key, type=event.type, received_at=now),
            events=[event],
            expires_at=now + POSTED_KEPT,
        )
    except AlreadyExistsError:
        return Accepted(id=event.id, type=event.type, duplicate=True)
    return Accepted(id=event.id, type=event.type, duplicate=False)


def _readable(body: bytes, request: Request) -> Event[FlightFound] | Event[ImagesStaged]:
    content_type = request.headers.get("content-type", "")
    message = Message(body, "", headers=dict(request.headers), content_type=content_type)
    try:
        match event_type(message):
            case FlightFound.type:
                return decode(message, FlightFound)
            case ImagesStaged.type:
                return decode(message, ImagesStaged)
            case other:
                raise InvalidInputError(
                    f"{other!r} is not taken from outside; flight-found and images-staged are",
                    field="type",
                    value=other,
                )
    except UnreadableError as error:
        raise InvalidInputError(str(error), field="event") from error


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > EVENT_AT_MOST_BYTES:
            raise HTTPException(
                HTTP_413_CONTENT_TOO_LARGE, f"the event is larger than {EVENT_AT_MOST_BYTES} bytes"
            )
    return bytes(body)
