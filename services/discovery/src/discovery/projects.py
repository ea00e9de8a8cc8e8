"""Projects: one per flight and owner, reserved here first, so that however many ask there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from discovery.domain.flights import Flight
from discovery.domain.projects import (
    Counter,
    Delivery,
    DeliveryState,
    Mode,
    Project,
    ProjectState,
    delivering,
    images_delivery,
    new_project,
    numbered,
    products_delivery,
    project_key,
    retrying,
    wanted_again,
)
from shared.errors import NotFoundError
from shared.events import Event, ImagesStaged, TaskCompleted
from shared.state import Collection, Document, OneOf, Order

log = structlog.get_logger()

COUNTER = "project_id"
PATIENCE = timedelta(seconds=15)
"""How long a caller waits for WebODM; what takes longer happens without the caller."""
LOOK_EVERY_S = 0.05
SILENT_FOR_S = 60.0
"""After WebODM has tried one caller's patience, others do not wait for it."""
TRUSTED_FOR = timedelta(minutes=5)
"""For so long a project that was seen at WebODM counts as being there."""
LISTED_STATES = OneOf((ProjectState.WANTED.value, ProjectState.CREATED.value))


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """Some projects, the newest first, and where the next ones begin."""

    projects: list[Project]
    cursor: str | None
    total: int


@dataclass(frozen=True, slots=True)
class Synced:
    """What looking at a project's flight again led to."""

    project: Project
    flight: Flight
    message: str


@dataclass(slots=True)
class Projects:
    """The projects; any number of replicas may ask for the same ones at once."""

    projects: Collection[Project]
    counters: Collection[Counter]
    flights: Collection[Flight]
    mode: Mode
    look: Callable[[Flight], Awaitable[Flight]]
    """Looks at a flight's source once more."""
    wake: Callable[[], None]
    """Told when a project is to be attended to now."""
    patience: timedelta = PATIENCE
    trusted_for: timedelta = TRUSTED_FOR
    _silent_until_s: float = 0.0

    async def ensure(self, flight: Flight, owner: str, *, again: bool = False) -> tuple[Project, bool]:
        """Return the project of a flight and owner, made if need be, and whether this call made it.

        While WebODM is away, the project is reserved, has no number, and is made later. One that somebody
        deleted at WebODM stays deleted, unless it is wanted ``again``.
        """
        key, now = project_key(flight.flight_id, owner), datetime.now(UTC)
        document, is_new = await self.projects.ensure(key, new_project(flight, owner, now))
        if again and document.body.state is ProjectState.DELETED:
            document, is_new = await self._revived(key)
        project = await self._made(document)
        return project, is_new and not project.adopted

    async def of_owner(self, owner: str | None, cursor: str | None = None, limit: int = 100) -> ProjectPage:
        """Return a page of an owner's projects, or of everybody's for None; deleted ones are left out."""
        where = {"state": LISTED_STATES} | ({} if owner is None else {"owner": owner})
        order = Order("created_at", descending=True)
        page = await self.projects.find(where, order=order, limit=limit, after=cursor)
        return ProjectPage(
            [document.body for document in page.items], page.cursor, await self.projects.count(where)
        )

    async def project(self, project_id: int, owner: str | None) -> Project:
        """Return one of an owner's projects, or anybody's for None.

        Raises:
            NotFoundError: There is none, or it is somebody else's, or deleted.
        """
        found = (await self.projects.find({"project_id": project_id})).items
        visible = [
            document.body
            for document in found
            if owner in (None, document.body.owner) and document.body.state is not ProjectState.DELETED
        ]
        if not visible:
            raise NotFoundError(f"there is no project {project_id}")
        return max(visible, key=lambda project: project.webodm_id is not None)

    async def sync(self, project_id: int, owner: str | None) -> Synced:
        """Look at the flight of a project again, and try again what could not be brought to WebODM.

        Images that are new are staged by themselves once the flight has settled.

        Raises:
            NotFoundError: There is no such project, or its flight is gone.
        """
        project = await self.project(project_id, owner)
        await self.projects.update(project.key, lambda one: retrying(one, datetime.now(UTC)))
        self.wake()
        known = (await self.flights.load(project.flight_id)).body
        flight = await self.look(known)
        return Synced((await self.projects.load(project.key)).body, flight, _message(known, flight))

    async def note_staged(self, event: Event[ImagesStaged]) -> None:
        """Have staged images uploaded, where WebODM is to process them."""
        if self.mode == "webodm":
            await self._deliver(event.data.flight_id, lambda name: images_delivery(event.data, name))

    async def note_completed(self, event: Event[TaskCompleted]) -> None:
        """Have products imported, where WebODM is to show them."""
        if self.mode == "pipeline" and event.data.flight_id:
            await self._deliver(event.data.flight_id, lambda name: products_delivery(event.data, name))

    async def _deliver(self, flight_id: str, delivery_of: Callable[[str], Delivery | None]) -> None:
        for project in await self._of_flight(flight_id):
            delivery = delivery_of(project.flight_name)
            if delivery is None:
                continue
            if delivery.state is DeliveryState.SKIPPED:
                log.warning("project.delivery_skipped", project=project.name, reason=delivery.reason)
            await self.projects.update(
                project.key, partial(delivering, delivery=delivery, now=datetime.now(UTC))
            )
            self.wake()

    async def _of_flight(self, flight_id: str) -> Sequence[Project]:
        """Return the projects of a flight; one that nobody asked for a project of gets its owner's."""
        if known := (await self.projects.find({"flight_id": flight_id})).items:
            return [document.body for document in known]
        flight = await self.flights.get(flight_id)
        if flight is None:
            return []
        new = new_project(flight.body, flight.body.owner, datetime.now(UTC))
        return [(await self.projects.ensure(new.key, new))[0].body]

    async def _revived(self, key: str) -> tuple[Document[Project], bool]:
        did = False

        def revive(project: Project) -> Project | None:
            nonlocal did
            did = project.state is ProjectState.DELETED
            return wanted_again(project, datetime.now(UTC)) if did else None

        return await self.projects.update(key, revive), did

    async def _made(self, document: Document[Project]) -> Project:
        if self.mode == "none":
            return await self._numbered(document)
        project, now_s = document.body, datetime.now(UTC).timestamp()
        is_trusted = now_s - project.checked_s < self.trusted_for.total_seconds()
        if project.state is ProjectState.DELETED or (project.webodm_id is not None and is_trusted):
            return project
        lease = document.record.lease
        if project.webodm_id is not None and lease and lease.until > datetime.now(UTC):
            return project  # it is being attended to, and that may take as long as an upload
        return await self._attended(project.key, now_s)

    async def _numbered(self, document: Document[Project]) -> Project:
        if document.body.project_id is not None or document.body.state is ProjectState.DELETED:
            return document.body
        counter = await self._next_number()
        now = datetime.now(UTC)
        return (await self.projects.update(document.id, lambda one: numbered(one, counter, now))).body

    async def _next_number(self) -> int:
        await self.counters.ensure(COUNTER, Counter())
        counter = await self.counters.update(COUNTER, lambda one: Counter(last=one.last + 1))
        return counter.body.last

    async def _attended(self, key: str, since_s: float) -> Project:
        """Have a project attended to, and return it as it is then, or as it is when patience ends."""
        await self.projects.update(key, lambda one: one.model_copy(update={"due_s": since_s}))
        self.wake()
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + self.patience.total_seconds()
        while clock() >= self._silent_until_s:
            await asyncio.sleep(LOOK_EVERY_S)
            project = (await self.projects.load(key)).body
            failed_since = project.trouble is not None and project.updated_at.timestamp() >= since_s
            if project.checked_s >= since_s or failed_since:
                return project
            if clock() >= give_up_s:
                self._silent_until_s = clock() + SILENT_FOR_S
        return (await self.projects.load(key)).body


def _message(before: Flight, after: Flight) -> str:
    count = after.listing.image_count if after.listing else 0
    run = after.run
    if before.listing and after.listing and before.listing.version != after.listing.version:
        return f"{after.name} has changed: it has {count} images now, which are staged once it has settled."
    if run is None or run.staged_at is None:
        return f"{after.name} has {count} images; they are not staged yet."
    return f"{after.name} is unchanged: {run.image_count} of {count} images are staged."
