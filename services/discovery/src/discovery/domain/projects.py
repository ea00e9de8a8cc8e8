"""A project: where people see a flight and what became of it, in WebODM or in our own records."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime

from discovery.domain.flights import Flight, Frozen
from shared.events import ImagesStaged, Option, TaskCompleted

NAME_AT_MOST_CHARACTERS = 255
SLUG_AT_MOST_CHARACTERS = 100
DELIVERIES_KEPT = 20
IMPORTS_AT_MOST = 5
ALL_ASSETS = "all.zip"
_NO_SLUG = re.compile(r"[^A-Za-z0-9._-]+")

Mode = Literal["pipeline", "webodm", "none"]


class ProjectState(StrEnum):
    """Whether there is a project."""

    WANTED = "wanted"
    """It is reserved here; WebODM has not been asked yet, or was away."""
    CREATED = "created"
    DELETED = "deleted"
    """Somebody deleted it at WebODM; it is not made again unless somebody asks for that."""


class DeliveryState(StrEnum):
    """How far something is on its way to WebODM."""

    PENDING = "pending"
    UNDER_WAY = "under way"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    DELETED = "deleted"
    """Somebody deleted the task at WebODM."""


OPEN = frozenset({DeliveryState.PENDING, DeliveryState.UNDER_WAY})


class Delivery(Frozen):
    """Images or products of one run that go into a project's task."""

    kind: Literal["images", "products"]
    version: str
    rerun: int = 0
    name: str
    """Of the task at WebODM."""
    task_id: str = ""
    """The pipeline's task that made the products."""
    place: str
    """URI of the images' prefix, or of the products."""
    manifest: str | None = None
    options: tuple[Option, ...] = ()
    state: DeliveryState = DeliveryState.PENDING
    webodm_task_id: str | None = None
    files_done: int = 0
    """So many of the files, sorted, are there for certain."""
    files_total: int = 0
    image_count: int = 0
    attempts: int = 0
    reason: str | None = None
    """Why it failed, or was skipped."""

    @property
    def key(self) -> tuple[str, str, int, str]:
        """Return what tells it from the project's others."""
        return self.kind, self.version, self.rerun, self.name

    @property
    def key_tag(self) -> str:
        """Return the tag that its task is known by."""
        return _key_tag("\n".join(map(str, self.key)))


class Project(Frozen):
    """The project of one flight and owner."""

    project_id: int | None = None
    """WebODM's number, or our own where there is no WebODM; none: WebODM has not been reached yet."""
    flight_id: str
    flight_name: str
    system_id: str = ""
    images_path: str = ""
    owner: str = ""
    is_shared: bool = False
    """Whether the flight is somebody else's."""
    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    state: ProjectState = ProjectState.WANTED
    webodm_id: int | None = None
    adopted: bool = False
    """It was at WebODM before we asked for it."""
    confirmed: bool = False
    """It was looked at WebODM for doubles, after a create whose answer was lost may have happened late."""
    deliveries: tuple[Delivery, ...] = ()
    trouble: str | None = None
    """What WebODM said, or did not say, when it was asked last."""
    attempts: int = 0
    """How often in a row that was."""
    checked_s: float = 0.0
    """When it was last seen at WebODM, or missed."""
    due_s: float = 0.0
    """When it is to be attended to."""
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def key(self) -> str:
        """Return the id of its document, and its tag at WebODM."""
        return project_key(self.flight_id, self.owner)

    @property
    def open_delivery(self) -> Delivery | None:
        """Return what is to be brought to WebODM next."""
        return next((delivery for delivery in self.deliveries if delivery.state in OPEN), None)


class Counter(Frozen):
    """The last number that was given."""

    last: int = 0


def project_key(flight_id: str, owner: str) -> str:
    """Return one token that names the project of a flight and an owner, and no other."""
    return _key_tag(f"{flight_id}\n{owner}")


def _key_tag(text: str) -> str:
    return f"fl{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def slug(text: str) -> str:
    """Return ``text`` as one readable tag: WebODM would make two of one with a space."""
    return _NO_SLUG.sub("-", text).strip("-")[:SLUG_AT_MOST_CHARACTERS] or "unnamed"


def project_name(flight_name: str, system_id: str) -> str:
    """Return ``<Flight> (<SystemID>)``; where that is too long, the flight's name is shortened."""
    behind = f" ({system_id})" if system_id else ""
    behind = behind[: NAME_AT_MOST_CHARACTERS // 2]
    return f"{flight_name.strip()[: NAME_AT_MOST_CHARACTERS - len(behind)]}{behind}".strip() or "flight"


def new_project(flight: Flight, owner: str, now: datetime) -> Project:
    """Return the project that a flight and its owner get."""
    kind = flight.source.partition("://")[0] or "flight"
    tags = [kind, "flight", *([slug(flight.system_id)] if flight.system_id else []), slug(flight.name)]
    return Project(
        flight_id=flight.flight_id,
        flight_name=flight.name,
        system_id=flight.system_id,
        images_path=flight.images_path,
        owner=owner,
        is_shared=flight.owner not in ("", owner),
        name=project_name(flight.name, flight.system_id),
        description=_description(flight, now),
        tags=(*dict.fromkeys(tags), project_key(flight.flight_id, owner)),
        due_s=now.timestamp(),
        created_at=now,
        updated_at=now,
    )


def _description(flight: Flight, now: datetime) -> str:
    count = flight.listing.image_count if flight.listing else 0
    lines = (
        ("Found by", "Flightline"),
        ("System", flight.system_id or flight.source),
        ("Flight", flight.name),
        ("Images", f"{flight.images_path or flight.source} ({count})"),
        ("Found at", f"{now:%Y-%m-%d %H:%M} UTC"),
    )
    return "\n".join(f"{name}: {value}" for name, value in lines)


def numbered(project: Project, number: int, now: datetime) -> Project | None:
    """Return the project with a number of our own; None: it has one, or is deleted."""
    if project.project_id is not None or project.state is not ProjectState.WANTED:
        return None
    return _changed(project, now, project_id=number, state=ProjectState.CREATED)


def present(project: Project, webodm_id: int, now: datetime, *, name: str, adopted: bool) -> Project:
    """Return the project after it was seen, or made, at WebODM."""
    return _changed(
        project,
        now,
        project_id=webodm_id,
        webodm_id=webodm_id,
        name=name,
        adopted=project.adopted or (adopted and project.webodm_id is None),
        confirmed=project.webodm_id == webodm_id,
        state=ProjectState.CREATED,
        checked_s=now.timestamp(),
    )


def deleted(project: Project, now: datetime) -> Project:
    """Return the project after somebody deleted it at WebODM."""
    return _changed(
        project,
        now,
        state=ProjectState.DELETED,
        checked_s=now.timestamp(),
        deliveries=tuple(
            delivery.model_copy(update={"state": DeliveryState.SKIPPED, "reason": "the project was deleted"})
            if delivery.state in OPEN
            else delivery
            for delivery in project.deliveries
        ),
    )


def wanted_again(project: Project, now: datetime) -> Project:
    """Return a deleted project that somebody wants to have again."""
    return _changed(
        project,
        now,
        state=ProjectState.WANTED,
        project_id=None,
        webodm_id=None,
        confirmed=False,
        adopted=False,
        created_at=now,
        due_s=now.timestamp(),
    )


def troubled(project: Project, trouble: str, now: datetime, again_in: timedelta) -> Project:
    """Return the project after WebODM did not do what it was asked."""
    return _changed(
        project,
        now,
        trouble=trouble,
        attempts=project.attempts + 1,
        due_s=(now + again_in).timestamp(),
    )


def delivering(project: Project, delivery: Delivery, now: datetime) -> Project | None:
    """Return the project with something more to bring; None: it knows of it, or is deleted.

    Images of an older version that nobody has begun to upload are not uploaded any more.
    """
    if project.state is ProjectState.DELETED or delivery.key in {one.key for one in project.deliveries}:
        return None
    kept = tuple(
        one.model_copy(update={"state": DeliveryState.SKIPPED, "reason": "there is a newer version"})
        if one.kind == delivery.kind == "images" and one.state is DeliveryState.PENDING
        else one
        for one in project.deliveries
    )
    return _changed(project, now, deliveries=(*kept, delivery)[-DELIVERIES_KEPT:], due_s=now.timestamp())


def with_delivery(project: Project, delivery: Delivery, now: datetime) -> Project:
    """Return the project with news of one of its deliveries."""
    deliveries = tuple(delivery if one.key == delivery.key else one for one in project.deliveries)
    return _changed(project, now, deliveries=deliveries)


def retrying(project: Project, now: datetime) -> Project:
    """Return the project with everything that failed to be tried again, at once."""
    deliveries = tuple(
        one.model_copy(update={"state": DeliveryState.PENDING, "reason": None, "attempts": 0})
        if one.state is DeliveryState.FAILED
        else one
        for one in project.deliveries
    )
    return _changed(project, now, deliveries=deliveries, attempts=0, due_s=now.timestamp())


def attended(
    project: Project, now: datetime, *, poll: timedelta, confirm: timedelta, check: timedelta
) -> Project:
    """Return the project at the end of a visit, with the time of the next one."""
    delivery = project.open_delivery
    if project.state is ProjectState.DELETED:
        wait = check * 24
    elif delivery:
        wait = timedelta() if delivery.state is DeliveryState.PENDING else poll
    else:
        wait = check if project.confirmed else min(confirm, check)
    return _changed(project, now, due_s=(now + wait).timestamp(), trouble=None, attempts=0)


def images_delivery(staged: ImagesStaged, flight_name: str) -> Delivery | None:
    """Return what staged images become in a project; None: they still have to be scaled."""
    if staged.scale.requested and not staged.scale.applied:
        return None
    behind = f" {staged.version[:8]}" + (f" ({staged.rerun + 1})" if staged.rerun else "")
    return Delivery(
        kind="images",
        version=staged.version,
        rerun=staged.rerun,
        name=f"{flight_name[: NAME_AT_MOST_CHARACTERS - len(behind)]}{behind}",
        place=staged.prefix,
        manifest=staged.manifest,
        options=staged.options.process,
        image_count=staged.image_count,
    )


def products_delivery(done: TaskCompleted, flight_name: str) -> Delivery | None:
    """Return what a task's products become in a project; None: there are none."""
    if done.status != "completed" or done.outputs is None or done.kind != "odm":
        return None
    behind = f", {done.finished_at:%Y-%m-%d %H:%M:%S}"
    has_all = ALL_ASSETS in done.assets
    return Delivery(
        kind="products",
        version=done.version or "",
        rerun=done.rerun,
        name=f"{flight_name[: NAME_AT_MOST_CHARACTERS - len(behind)]}{behind}",
        task_id=done.task_id,
        place=done.outputs,
        state=DeliveryState.PENDING if has_all else DeliveryState.SKIPPED,
        reason=None if has_all else f"the products have no {ALL_ASSETS}, which WebODM imports",
    )


def _changed(project: Project, now: datetime, **fields: object) -> Project:
    return project.model_copy(update={"updated_at": now, **fields})


def wait_after(attempts: int, ladder: Sequence[timedelta]) -> timedelta:
    """Return how long to wait after so many failures in a row; the last rung repeats."""
    return ladder[min(attempts, len(ladder) - 1)]
