"""Flights on Tapis systems: found for one user, over all systems at once, and made into projects."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from discovery.domain.flights import Flight
from discovery.domain.projects import Project, ProjectState, project_key
from discovery.finder import Finder, flight_name
from discovery.projects import Projects
from discovery.system_looks import GIVE_UP_S, SystemLooks
from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from shared.sources import FlightFiles, Folder, LoginNeededError, Source, find, flight_id, flight_of
from shared.tapis.records import TapisSystem

if TYPE_CHECKING:  # heavy, and needed only where a tenant is known
    from shared.tapis.client import TapisClient

SILENT = "Tapis has not answered for this system any more; it is looked at again next time"
ACCESS_TROUBLE = {
    "disabled": "this system is switched off in Tapis",
    "no-credentials": "Tapis has no credentials of yours for this system; register them there",
}


@dataclass(frozen=True, slots=True)
class FoundFlight:
    """A flight as one look found it."""

    source: Source
    files: FlightFiles
    is_marked: bool
    found_at: datetime

    @property
    def name(self) -> str:
        """Return what people call it."""
        return flight_name(self.source, self.files.images_path)

    @property
    def place(self) -> str:
        """Return where it lies, for people."""
        return f"{self.source.system_id}/{self.files.images_path}"


@dataclass(slots=True)
class Discovered:
    """What looking for flights found."""

    systems: list[str] = field(default_factory=list)
    """Those that could be looked at."""
    flights: list[FoundFlight] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add(self, other: Discovered) -> None:
        """Add what was found elsewhere."""
        self.systems += other.systems
        self.flights += other.flights
        self.errors += other.errors

    def sort(self) -> None:
        """Put everything in an order that is the same every time."""
        self.flights.sort(key=lambda flight: flight.place)
        self.systems.sort()
        self.errors.sort()


@dataclass(slots=True)
class Created:
    """What became of flights that were to be projects."""

    created: list[tuple[Project, Flight]] = field(default_factory=list)
    existing: list[tuple[Project, Flight]] = field(default_factory=list)
    left_out: list[FoundFlight] = field(default_factory=list)
    """There are as many new projects as were wanted at most."""
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TapisFlights:
    """Finds flights on Tapis; an owner is ``username@tenant``, and empty for the service account."""

    client: TapisClient
    finder: Finder
    projects: Projects
    pattern: str
    """Which systems hold flights."""

    async def systems(self, owner: str) -> list[TapisSystem]:
        """Return the systems of flights that an owner may see.

        Raises:
            LoginNeededError: The owner has to log in.
            TransientError: Tapis does not answer.
        """
        return await self.client.systems(owner, self.pattern)

    async def discover(self, owner: str, named: Sequence[str] = ()) -> Discovered:
        """Look for flights on the systems named, or on all; one in trouble keeps no other waiting.

        Raises:
            LoginNeededError: The owner has to log in.
            TransientError: Tapis does not tell its systems.
        """
        found = Discovered()
        async with aclosing(self.discoveries(owner, named)) as looks:
            async for look in looks:
                found.add(look)
        found.sort()
        return found

    async def discoveries(self, owner: str, named: Sequence[str] = ()) -> AsyncGenerator[Discovered, None]:
        """Look for flights, and yield what each system holds as soon as that is known.

        Raises:
            LoginNeededError: The owner has to log in.
            TransientError: Tapis does not tell its systems.
        """
        known = {} if named else {system.id: system for system in await self.systems(owner)}

        async def look(system: str) -> Discovered:
            return await self._look(owner, known.get(system, system))

        looks = SystemLooks(look, self.client.answered_s).at([*known, *named])
        async with aclosing(looks):
            async for system, found in looks:
                yield found or Discovered(errors=[f"{system}: {SILENT}"])

    async def _look(self, owner: str, system: str | TapisSystem) -> Discovered:
        found = Discovered()
        name = system if isinstance(system, str) else system.id
        try:
            await self._look_at(owner, system, found)
        except LoginNeededError:
            raise
        except (PermanentError, TransientError) as error:
            found.errors.append(f"{name}: {error}")
        else:
            found.systems.append(name)
        return found

    async def _look_at(self, owner: str, named: str | TapisSystem, found: Discovered) -> None:
        system = await self._known(owner, named) if isinstance(named, str) else named
        if trouble := ACCESS_TROUBLE.get(system.access):
            raise PermanentError(trouble)
        source = await self.finder.sources.at(f"tapis://{system.id}", owner)
        async for place in find(source, self.finder.layout):
            if place.flight is not None:
                found.flights.append(FoundFlight(source, place.flight, place.is_marked, datetime.now(UTC)))
                continue
            found.errors.append(f"{system.id}: {place.images_path}: {place.trouble}")
            if time.monotonic() - self.client.answered_s(system.id) >= GIVE_UP_S:
                raise TransientError(SILENT)  # each of its folders would take as long

    async def _known(self, owner: str, name: str) -> TapisSystem:
        if not fnmatchcase(name, self.pattern):
            raise NotFoundError(f"only systems called {self.pattern} hold flights")
        return await self.client.system(owner, name)

    async def at(self, owner: str, system_id: str, images_path: str) -> FoundFlight:
        """Look at one flight whose place is known.

        Raises:
            NotFoundError: There is no such folder, or no image in it.
        """
        from shared.tapis.client import confined  # noqa: PLC0415 - heavy

        path = confined(images_path)
        await self._known(owner, system_id)
        source = await self.finder.sources.at(f"tapis://{system_id}", owner)
        folder = await source.folder(path)
        above = await source.folder(path.rpartition("/")[0]) if path else Folder()
        files = flight_of(path, folder, above, self.finder.layout.files)
        if not files.images:
            raise NotFoundError(f"there are no images in {path or 'the root'} of {system_id}")
        return FoundFlight(source, files, self.finder.layout.is_marked(folder, above), datetime.now(UTC))

    async def named(self, owner: str, places: Iterable[tuple[str, str]]) -> Discovered:
        """Look at flights whose system and folder somebody names.

        Raises:
            LoginNeededError: The owner has to log in.
        """
        found = Discovered()
        for system_id, images_path in dict.fromkeys(places):
            try:
                found.flights.append(await self.at(owner, system_id, images_path))
            except LoginNeededError:
                raise
            except (PermanentError, TransientError) as error:
                found.errors.append(f"{system_id}: {images_path}: {error}")
                continue
            if system_id not in found.systems:
                found.systems.append(system_id)
        return found

    async def create(
        self, owner: str, flights: Iterable[FoundFlight], at_most: int | None = None, *, again: bool = False
    ) -> Created:
        """Have flights watched, and processed once they have settled, and make a project of each.

        Args:
            owner: Whose they become.
            flights: As they were found.
            at_most: How many new projects to make; None: all.
            again: Whether to make projects that somebody deleted.
        """
        done = Created()
        for found in flights:
            is_over = at_most is not None and len(done.created) >= at_most
            if is_over and await self.project_of(owner, found) is None:
                done.left_out.append(found)
                continue
            await self.create_one(owner, found, done, again=again)
        if done.left_out:
            done.errors.append(
                f"{len(done.left_out)} more flights are to become projects next time:"
                f" max_projects_per_discovery is {at_most}"
            )
        return done

    async def create_one(self, owner: str, found: FoundFlight, done: Created, *, again: bool = False) -> None:
        """Have one flight watched and make a project of it; ``done`` tells what became of it."""
        try:
            await self._create(owner, found, done, again=again)
        except LoginNeededError:
            raise
        except (PermanentError, TransientError) as error:
            done.errors.append(f"{found.place}: {error}")

    async def _create(self, owner: str, found: FoundFlight, done: Created, *, again: bool) -> None:
        flight = await self.finder.note(found.source, found.files, owner=owner, is_marked=found.is_marked)
        project, is_new = await self.projects.ensure(flight, owner, again=again)
        if project.state is ProjectState.DELETED:
            done.errors.append(
                f"{found.place}: its project was deleted; name the flight itself to have it made again"
            )
        elif is_new:
            done.created.append((project, flight))
        else:
            done.existing.append((project, flight))
        if project.trouble:
            done.errors.append(f"{found.place}: {project.trouble}")

    async def project_of(self, owner: str, found: FoundFlight) -> Project | None:
        """Return the project that a flight has already."""
        key = project_key(flight_id(found.source, found.files.images_path), owner)
        document = await self.projects.projects.get(key)
        return document.body if document else None


def checked_systems(systems: Iterable[str], pattern: str) -> None:
    """Refuse systems that cannot hold flights.

    Raises:
        InvalidInputError: One of them.
    """
    for system in systems:
        if not fnmatchcase(system, pattern):
            raise InvalidInputError(
                f"{system}: only systems called {pattern} hold flights",
                field="preferred_systems",
                value=system,
            )
