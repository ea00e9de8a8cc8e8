"""Flights: what is known of them, and requests to find some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.status import HTTP_401_UNAUTHORIZED, HTTP_403_FORBIDDEN

from discovery.domain.flights import Flight, FlightState
from discovery.domain.stages import FlightView, viewed
from discovery.finder import Finder
from discovery.routes.asking import Bearer, Reader, TheProjects, User, doorkeeper
from discovery.sight import may_see, shared_with
from shared.errors import NotFoundError
from shared.events import FlightOptions
from shared.service.access import authorised
from shared.sources import LoginNeededError
from shared.state import Collection, OneOf, Order

router = APIRouter(tags=["flights"])

NAME_AT_MOST = 255


class FlightPage(BaseModel):
    """Some flights and where the next ones begin."""

    flights: list[FlightView]
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


class FlightQuery(BaseModel):
    """Which flights, and in which order."""

    model_config = ConfigDict(extra="ignore")

    state: FlightState | None = None
    system: Annotated[str, Field(max_length=NAME_AT_MOST)] | None = None
    owner: Annotated[str, Field(max_length=NAME_AT_MOST)] | None = None
    name: Annotated[str, Field(max_length=NAME_AT_MOST)] | None = None
    sort: Literal["updated_at", "-updated_at", "name", "-name"] = "-updated_at"
    limit: Annotated[int, Field(gt=0, le=1000)] = 100
    after: str | None = None

    @property
    def where(self) -> dict[str, Any]:
        """Return what the flights must be like."""
        wanted = {
            "state": self.state.value if self.state else None,
            "system_id": self.system,
            "owner": self.owner,
            "name": self.name,
        }
        return {field: value for field, value in wanted.items() if value is not None}


@router.get("/api/flights/", summary="List flights")
async def list_flights(
    request: Request, reader: Reader, projects: TheProjects, query: Annotated[FlightQuery, Query()]
) -> FlightPage:
    """Return the flights that the caller may see, page by page.

    A user's own come first, then those of others that the user has a project of, each in the wanted order.
    """
    flights: Collection[Flight] = request.state.flights
    if reader.sees is None:
        parts = [query.where]
    else:
        own, others = query.where | {"owner": reader.sees}, query.where
        ids = await shared_with(projects.projects, reader.sees)
        parts = [own] if query.owner in (None, reader.sees) else []
        parts += [others | {"id": OneOf(ids)}] if ids and query.owner != reader.sees else []
    return await _page(flights, parts, query)


@router.get("/api/flights/{flight_id}", summary="One flight, its stages and its runs")
async def get_flight(flight_id: str, request: Request, reader: Reader, projects: TheProjects) -> FlightView:
    """Return a flight; one that the caller may not see is as if it were not there."""
    flights: Collection[Flight] = request.state.flights
    document = await flights.get(flight_id)
    if document is None or not await may_see(projects.projects, reader.sees, document.body):
        raise NotFoundError(f"there is no flight {flight_id}")
    return viewed(document.body)


@router.post("/api/discover", status_code=202, summary="Find the flights of a source and have them processed")
async def discover(wanted: DiscoverRequest, request: Request, user: User, bearer: Bearer) -> Discovered:
    """Users may name ``tapis://`` only: whatever else can be read is read with the operator's rights."""
    finder: Finder = request.state.finder
    if doorkeeper(request).logins is None:
        await authorised(request, bearer)
    elif not user.is_service and not wanted.source.lower().startswith("tapis://"):
        raise HTTPException(HTTP_403_FORBIDDEN, "Users may have flights found on Tapis only.")
    try:
        found = await finder.find(wanted.source, user.owner)
        return Discovered(flights=await finder.ask(found, wanted.options, owner=user.owner))
    except LoginNeededError as error:
        raise HTTPException(HTTP_401_UNAUTHORIZED, str(error)) from None


async def _page(
    flights: Collection[Flight], parts: Sequence[Mapping[str, Any]], query: FlightQuery
) -> FlightPage:
    """Return a page of one part, or the first of the next one; a cursor begins with its part's number."""
    number, _, after = (query.after or "0:").partition(":")
    if not number.isdecimal():
        number, after = "0", query.after or ""  # the store says what is wrong with it
    part = int(number)
    if part >= len(parts):
        return FlightPage(flights=[], cursor=None, total=0)
    order = Order.named(query.sort)
    page = await flights.find(parts[part], order=order, limit=query.limit, after=after or None)
    is_last = part + 1 >= len(parts)
    cursor = f"{part}:{page.cursor}" if page.cursor else (None if is_last else f"{part + 1}:")
    return FlightPage(
        flights=[viewed(document.body) for document in page.items],
        cursor=cursor,
        total=sum([await flights.count(where) for where in parts]),
    )
