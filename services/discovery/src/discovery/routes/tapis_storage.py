"""Flights on Tapis storage, and their projects: what the user's document describes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Self, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from discovery.domain.flights import Flight
from discovery.domain.preferences import SYSTEMS_AT_MOST, SystemName
from discovery.domain.projects import Project
from discovery.plans import Plans, automatic
from discovery.routes.answers import REFUSALS, DocumentedRoute
from discovery.routes.asking import OnTapis, Reader, TheProjects, User, WhatOwnersWant
from discovery.tapis_flights import Created, Discovered, FoundFlight, TapisFlights
from shared.state import Collection

T = TypeVar("T", bound=Callable[..., Any])

router = APIRouter(
    prefix="/api/tapis-storage", route_class=DocumentedRoute, tags=["tapis storage"], responses=REFUSALS
)

FLIGHTS_AT_MOST = 1000
PROJECTS_AT_MOST = 10_000
PROJECTS_PAGE = 500


class SystemShown(BaseModel):
    """A storage system."""

    id: str
    host: str
    systemType: str  # noqa: N815 - as Tapis and the document call it
    description: str
    created: str
    updated: str
    access: str = Field(description="`ok`, or why its files cannot be read: `disabled`, `no-credentials`.")


class SystemsAnswer(BaseModel):
    """The systems that hold flights."""

    success: bool = True
    systems: list[SystemShown]
    count: int


class FlightShown(BaseModel):
    """A flight as it was found."""

    flight_name: str
    system_id: str
    images_path: str
    image_count: int
    total_bytes: int
    discovered_at: datetime


class FlightsAnswer(BaseModel):
    """The flights that were found, and where none could be looked for."""

    success: bool = True
    flights: list[FlightShown]
    count: int
    errors: list[str]


class Where(BaseModel):
    """Where to look for flights."""

    model_config = ConfigDict(extra="ignore")

    systems: Annotated[list[SystemName], Field(max_length=SYSTEMS_AT_MOST)] = []


class FlightNamed(BaseModel):
    """A flight that somebody wants a project of; what counts is where it lies."""

    model_config = ConfigDict(extra="ignore")

    flight_name: Annotated[str, Field(max_length=255)] = ""
    system_id: SystemName
    images_path: Annotated[str, Field(max_length=4096)]
    image_count: Annotated[int, Field(ge=0)] | None = None


class ProjectsWanted(BaseModel):
    """Which flights are to become projects."""

    model_config = ConfigDict(extra="ignore")

    auto_discover: bool = False
    flights: Annotated[list[FlightNamed], Field(max_length=FLIGHTS_AT_MOST)] = []
    systems: Annotated[list[SystemName], Field(max_length=SYSTEMS_AT_MOST)] = []

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.auto_discover and not self.flights:
            raise ValueError("say auto_discover, or name flights")
        return self


class ProjectMade(BaseModel):
    """A project and its flight."""

    project_id: int | None = Field(description="Null while WebODM is out of reach.")
    project_name: str
    flight_name: str
    system_id: str
    image_count: int


class Results(BaseModel):
    """What became of the flights."""

    systems_scanned: int
    flights_discovered: int
    projects_created: int
    errors: list[str]
    created_projects: list[ProjectMade]
    existing_projects: list[ProjectMade]


class ProjectsAnswer(BaseModel):
    """What became of the flights."""

    success: bool = True
    results: Results


class ProjectShown(BaseModel):
    """A project of the caller."""

    id: int | None
    name: str
    description: str
    created_at: datetime
    tags: list[str]
    task_count: int
    flight_id: str
    flight_name: str
    system_id: str
    state: str


class ProjectsListed(BaseModel):
    """The caller's projects, newest first."""

    success: bool = True
    projects: list[ProjectShown]
    count: int


class SyncWanted(BaseModel):
    """Which project."""

    model_config = ConfigDict(extra="ignore")

    project_id: Annotated[int, Field(ge=1, strict=True)]


class Synced(BaseModel):
    """What looking at a project's flight again led to."""

    success: bool = True
    message: str


def _aliased(method: str, path: str, **more: Any) -> Callable[[T], T]:
    """Serve a path with hyphens, as documented, and with underscores, as its origin had it."""

    def decorate(function: T) -> T:
        router.add_api_route(path.replace("-", "_"), function, methods=[method], include_in_schema=False)
        router.add_api_route(path, function, methods=[method], **more)
        return function

    return decorate


@router.get("/systems/", summary="The systems that hold flights and that you may see")
async def list_systems(user: User, on: OnTapis) -> SystemsAnswer:
    """Return the systems, shared ones as well; `access` tells which cannot be read."""
    shown = [
        SystemShown(
            id=system.id,
            host=system.host,
            systemType=system.system_type,
            description=system.description,
            created=system.created,
            updated=system.updated,
            access=system.access,
        )
        for system in await on.systems(user.owner)
    ]
    return SystemsAnswer(systems=shown, count=len(shown))


@_aliased("POST", "/discover-flights/", summary="Look for flights, on all systems or those named")
async def discover_flights(user: User, on: OnTapis, where: Where | None = None) -> FlightsAnswer:
    """Return the flights as they are now; nothing is kept of them."""
    found = await on.discover(user.owner, where.systems if where else ())
    shown = [_flight_shown(one) for one in found.flights]
    return FlightsAnswer(success=_could_look(found), flights=shown, count=len(shown), errors=found.errors)


@_aliased("POST", "/create-projects/", summary="Make projects of flights")
async def create_projects(
    user: User, on: OnTapis, plans: WhatOwnersWant, wanted: ProjectsWanted
) -> ProjectsAnswer:
    """Make projects as you prefer (`auto_discover`), or of the flights that are named."""
    if wanted.auto_discover:
        found, done = await _automatic(on, plans, user.owner, wanted.systems)
    else:
        found = await on.named(user.owner, [(one.system_id, one.images_path) for one in wanted.flights])
        done = await on.create(user.owner, found.flights, again=True)
    results = Results(
        systems_scanned=len(found.systems),
        flights_discovered=len(found.flights),
        projects_created=len(done.created),
        errors=[*found.errors, *done.errors],
        created_projects=[_made(*one) for one in done.created],
        existing_projects=[_made(*one) for one in done.existing],
    )
    return ProjectsAnswer(success=_could_look(found), results=results)


@_aliased("GET", "/flight-projects/", summary="Your projects, newest first")
async def list_projects(request: Request, user: Reader, projects: TheProjects) -> ProjectsListed:
    """Return the projects of flights on Tapis."""
    flights: Collection[Flight] = request.state.flights
    shown: list[ProjectShown] = []
    cursor: str | None = None
    while len(shown) < PROJECTS_AT_MOST:
        page = await projects.of_owner(user.sees, cursor, PROJECTS_PAGE)
        shown += [await _project_shown(one, flights) for one in page.projects if "tapis" in one.tags]
        cursor = page.cursor
        if cursor is None:
            break
    return ProjectsListed(projects=shown, count=len(shown))


@_aliased("POST", "/sync-project-images/", summary="Look at a project's flight again; stage what is new")
async def sync_project_images(user: User, projects: TheProjects, wanted: SyncWanted) -> Synced:
    """Look at the flight again, and try again what failed."""
    synced = await projects.sync(wanted.project_id, user.sees)
    return Synced(message=synced.message)


async def _automatic(
    on: TapisFlights, plans: Plans, owner: str, systems: list[str]
) -> tuple[Discovered, Created]:
    plan = await plans.of(owner)
    if systems:
        named = plan.preferences.model_copy(update={"preferred_systems": tuple(systems)})
        plan = plan.model_copy(update={"preferences": named})
    return await automatic(on, plan)


def _could_look(found: Discovered) -> bool:
    """Return whether there was anything that could be looked at, or nothing in the way of it."""
    return bool(found.systems) or not found.errors


def _flight_shown(found: FoundFlight) -> FlightShown:
    return FlightShown(
        flight_name=found.name,
        system_id=found.source.system_id,
        images_path=found.files.images_path,
        image_count=len(found.files.images),
        total_bytes=found.files.total_bytes,
        discovered_at=found.found_at,
    )


def _made(project: Project, flight: Flight) -> ProjectMade:
    return ProjectMade(
        project_id=project.project_id,
        project_name=project.name,
        flight_name=flight.name,
        system_id=flight.system_id,
        image_count=flight.listing.image_count if flight.listing else 0,
    )


async def _project_shown(project: Project, flights: Collection[Flight]) -> ProjectShown:
    tasks = sum(delivery.webodm_task_id is not None for delivery in project.deliveries)
    if project.webodm_id is None:
        flight = await flights.get(project.flight_id)
        tasks = flight.body.run_count if flight else 0
    return ProjectShown(
        id=project.project_id,
        name=project.name,
        description=project.description,
        created_at=project.created_at,
        tags=list(project.tags),
        task_count=tasks,
        flight_id=project.flight_id,
        flight_name=project.flight_name,
        system_id=project.system_id,
        state=project.state.value,
    )
