"""A task and everything that can happen to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.events import Option
from shared.tracing import traceparent

CRASHES_AT_MOST = 20
"""A task during which the gateway itself dies this often without getting further is the likely cause."""

INITIALIZING = timedelta(seconds=3)
"""A new task is shown as running that long: ODM's split-merge takes "queued" for a node that is full."""


class Status(IntEnum):
    """NodeODM's status codes."""

    QUEUED = 10
    RUNNING = 20
    FAILED = 30
    COMPLETED = 40
    CANCELED = 50

    @property
    def finished(self) -> bool:
        """Return whether nothing happens by itself any more."""
        return self not in OPEN


End = Literal[Status.COMPLETED, Status.FAILED, Status.CANCELED]

OPEN = (Status.QUEUED, Status.RUNNING)


class Flight(BaseModel):
    """The flight that a task belongs to, and the event that asked for it."""

    model_config = ConfigDict(frozen=True)

    flight_id: str
    version: str
    rerun: int = 0
    event_id: str
    correlation_id: str
    traceparent: str | None = None


class Source(BaseModel):
    """Files that a client named instead of sending them."""

    model_config = ConfigDict(frozen=True)

    uri: str
    """A prefix or an archive in the object store, or an archive behind ``http(s)://``."""
    depth: int | None = None
    """How many folders below a prefix are looked into; none: all."""
    excluded: tuple[str, ...] = ()
    """Paths below a prefix that do not count."""


class Task(BaseModel):
    """One run of photogrammetry as its users see it."""

    model_config = ConfigDict(frozen=True)

    id: str
    """Public id, in the letters that the client chose; its document is named by ``task_key``."""
    name: str | None = None
    """As given; None where the client sent none, and then NodeODM leaves the field out."""
    created_at: AwareDatetime
    inserted_us: int
    """Microseconds since 1970 at insertion: the order of work and of the list."""
    status: Status = Status.QUEUED
    error: str | None = None
    options: tuple[Option, ...] = ()
    tenant: str = ""
    """Whose it is: the name of a token; empty where none is wanted, and for flights."""
    parent: str | None = None
    """Key of the task that asked for this one as a part of itself (split-merge)."""
    is_submodel: bool = False
    """Whether there is such a task, which waits for this one."""
    cluster_secret: str = ""
    """By which its engine asks for parts of it; empty: it needs none."""
    images: str
    """Key of the images' prefix in the object store."""
    manifest: str | None = None
    """Key of the manifest; None: everything below ``images`` counts."""
    source: Source | None = None
    """Whence the files still have to be taken in; None: they are in place."""
    products: str = ""
    """Key of the prefix for what it makes, if the client chose one."""
    image_count: int = -1
    """-1: not counted yet."""
    total_bytes: int = 0
    """Of all files, where they were counted."""
    outputs: tuple[str, ...] = ()
    """Paths that the client wants in its archive; empty: the usual ones."""
    post_processing: bool = True
    webhook: str | None = None
    """URL that is told of the end."""
    hooks_told: tuple[str, ...] = ()
    """Which webhooks have heard of which end; see ``odm_gateway.domain.webhooks``."""
    telling_until_s: float = 0.0
    """Somebody tells webhooks, whom others wait for until then, in seconds since 1970."""
    flight: Flight | None = None
    traceparent: str | None = None
    """The span in which it was asked for."""
    attempt: int = 1
    """How often a user asked for it; each attempt ends once."""
    run: int = 0
    """Number of its console: another one for every beginning of work and every restart."""
    crashes: int = 0
    in_hand: bool = False
    """Work began and was not handed back: still set in a task without a lease, it tells of a crash."""
    stage: str = ""
    progress: float = 0
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    assets: tuple[str, ...] = ()
    earlier_assets: tuple[str, ...] = ()
    """Products of earlier attempts: not shown, there until they are overwritten, and to go with the task."""
    summary: dict[str, Any] = {}
    cancel_requested: bool = False
    removing: bool = False
    """Its user wants it gone; nobody sees it any more."""
    untidy: bool = False
    """An engine may still keep something of it, or it is to be removed."""
    tidied_attempts: int = 0
    """Of how many attempts the engine keeps nothing any more."""

    @property
    def products_key(self) -> str:
        """Return the key prefix in the object store that its products lie under."""
        return self.products or f"products/{self.id}"

    @property
    def shown_name(self) -> str | None:
        """Return the name as clients see it."""
        if self.name != "":
            return self.name
        moment = self.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
        return f"Task of {moment.removesuffix('+00:00')}Z"

    @property
    def is_taken_in(self) -> bool:
        """Return whether its files are in place, listed and counted."""
        return self.manifest is not None and self.image_count >= 0 and self.total_bytes > 0

    def shown_status(self, now: datetime) -> Status:
        """Return the status as clients see it: a wanted cancel is done, a new task is being taken in."""
        if self.cancel_requested:
            return Status.CANCELED
        if self.status is Status.QUEUED and self.is_submodel:  # ODM would take "queued" for a full node
            return Status.RUNNING
        inserted_at = datetime.fromtimestamp(self.inserted_us / 1e6, UTC)
        is_new = self.attempt == 1 and now - inserted_at < INITIALIZING
        if self.status is Status.QUEUED and is_new:
            return Status.RUNNING
        return self.status

    def processing_ms(self, now: datetime) -> int:
        """Return for how long it was or has been worked on, in ms; -1 before that and after a cancel."""
        if self.started_at is None or self.shown_status(now) is Status.CANCELED:
            return -1
        return max(0, round(((self.finished_at or now) - self.started_at) / timedelta(milliseconds=1)))

    def expires_at(self, cleanup: timedelta | None) -> datetime | None:
        """Return when it is removed by itself, if nobody removes it earlier; None: never, as a flight's."""
        if self.flight:
            return None
        return self.finished_at + cleanup if cleanup and self.finished_at else None

    def is_overdue(self, now: datetime, at_most: timedelta | None) -> bool:
        """Return whether it has been worked on for longer than it may."""
        return bool(at_most and self.started_at and now - self.started_at > at_most)


def begun(task: Task, now: datetime) -> Task:
    """Return the task in the hands of a worker, its console and progress empty."""
    crashes = task.crashes + task.in_hand
    if task.status is not Status.RUNNING:
        task = task.model_copy(update={"started_at": now})
    return task.model_copy(
        update={
            "status": Status.RUNNING, "run": task.run + 1, "crashes": crashes, "in_hand": True,
            "untidy": True,
        }
    )  # fmt: skip


def handed_back(task: Task) -> Task:
    """Return the task as left by a worker that had to stop before the end."""
    return task.model_copy(update={"in_hand": False})


def advanced(task: Task, stage: str, percent: float) -> Task:
    """Return the task further on; progress never goes back, and getting further makes up for crashes."""
    percent = min(100.0, percent)
    if percent <= task.progress:
        return task.model_copy(update={"stage": stage})
    return task.model_copy(update={"stage": stage, "progress": percent, "crashes": 0})


def taken_in(task: Task, manifest: str, image_count: int, total_bytes: int) -> Task:
    """Return the task with its files in place, listed and counted."""
    return task.model_copy(
        update={
            "source": None, "manifest": manifest, "image_count": image_count, "total_bytes": total_bytes,
        }
    )  # fmt: skip


def ended(
    task: Task,
    status: End,
    now: datetime,
    *,
    error: str | None = None,
    assets: tuple[str, ...] = (),
    summary: dict[str, Any] | None = None,
) -> Task:
    """Return the task at its end; a cancel that somebody was promised beats every other end."""
    if task.cancel_requested:
        status, error = Status.CANCELED, None
    return task.model_copy(
        update={
            "status": status, "error": error, "assets": assets, "summary": summary or {}, "finished_at": now,
            "progress": 100.0, "in_hand": False,
        }
    )  # fmt: skip


def canceled(task: Task, now: datetime) -> Task:
    """Return the task as a cancel leaves it: at its end, unless somebody works on it and has to stop first.

    Finished tasks become canceled too, and keep what they made.
    """
    if task.status is Status.RUNNING:
        return task.model_copy(update={"cancel_requested": True})
    if task.status is Status.QUEUED:
        return ended(task, Status.CANCELED, now)
    return task.model_copy(update={"status": Status.CANCELED, "error": None, "cancel_requested": True})


def removed(task: Task, now: datetime) -> Task:
    """Return the task canceled, and to be deleted with everything that it made."""
    return canceled(task, now).model_copy(update={"removing": True, "untidy": True})


def restarted(task: Task, now: datetime, options: tuple[Option, ...] | None = None) -> Task | None:
    """Return a finished task at the beginning of another attempt, or None where work on it goes on.

    Args:
        task: Whose id and place in the list stay.
        now: When it counts as created.
        options: Those of the new attempt; None: those that it has.
    """
    if not task.status.finished or task.removing:
        return None
    return task.model_copy(
        update={
            "name": task.shown_name, "created_at": now, "status": Status.QUEUED, "error": None,
            "options": task.options if options is None else options, "attempt": task.attempt + 1,
            "run": task.run + 1, "crashes": 0, "in_hand": False, "stage": "", "progress": 0.0,
            "started_at": None, "finished_at": None, "assets": (), "summary": {},
            "earlier_assets": tuple(dict.fromkeys((*task.earlier_assets, *task.assets))),
            "cancel_requested": False, "cluster_secret": "", "traceparent": traceparent() or task.traceparent,
        }
    )  # fmt: skip


def tidied(task: Task, attempts: int) -> Task:
    """Return the task after its engine forgot its first ``attempts``."""
    return task.model_copy(update={"untidy": task.attempt > attempts, "tidied_attempts": attempts})


def too_many_images(count: int, at_most: int | None) -> str | None:
    """Return NodeODM's words for more images than a node takes, or None."""
    if at_most is None or count <= at_most:
        return None
    return f"{count} images uploaded, but this node can only process up to {at_most}."
