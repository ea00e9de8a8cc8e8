"""A job: images to be scaled, all with one factor, and everybody who waits for them."""

from __future__ import annotations

import time
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, computed_field

from scaler.domain.asks import Asks
from shared.due import NEVER_S
from shared.errors import ConflictError
from shared.events import Event, ImagesStaged


class Frozen(BaseModel):
    """A value."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Image(Frozen):
    """One image to scale."""

    path: str
    """Relative to the flight's images."""
    key: str | None = None
    """Where it lies in the object store; None: at its URI."""
    uri: str = ""
    """As whoever asked wrote it, which may hold a signature: never shown."""
    size_bytes: int = 0
    sha256: str | None = None
    """None: nobody knows."""


class JobKind(StrEnum):
    """What a job scales."""

    FLIGHT = "flight"
    """Every image of a staged flight."""
    IMAGE = "image"
    """One image that somebody sent or named over HTTP."""


class JobState(StrEnum):
    """How far a job is."""

    SCALING = "scaling"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELED})


class Amounts(Frozen):
    """How much there is to do, and how much of it is done."""

    images_total: int = 0
    images_done: int = 0
    """Scaled or rejected."""
    bytes_total: int = 0
    bytes_done: int = 0
    """Of the originals."""
    written_bytes: int = 0
    rejected: dict[str, int] = {}
    """Images that cannot be scaled, by the code of the reason."""

    def plus(self, other: Amounts) -> Amounts:
        """Return both together; what is to be done in all stays as it is here."""
        codes = {*self.rejected, *other.rejected}
        return Amounts(
            images_total=self.images_total,
            images_done=self.images_done + other.images_done,
            bytes_total=self.bytes_total,
            bytes_done=self.bytes_done + other.bytes_done,
            written_bytes=self.written_bytes + other.written_bytes,
            rejected={code: self.rejected.get(code, 0) + other.rejected.get(code, 0) for code in codes},
        )


class Result(Frozen):
    """What came out of a job."""

    prefix: str
    """URI of the folder of the scaled images."""
    manifest: str | None = None
    image_count: int
    total_bytes: int
    rejected_count: int = 0
    key: str | None = None
    """Of the only image, where the job was about one."""
    media_type: str | None = None


class Job(Frozen):
    """Images to be scaled."""

    kind: JobKind
    name: str
    """What people call it: the flight's name, or that of the file."""
    asks: Asks
    requests: tuple[Event[ImagesStaged], ...] = ()
    """Each request for a flight's version once, oldest first; they differ in options and rerun."""
    told: tuple[int, ...] = ()
    """Reruns whose outcome was told."""
    source: str
    """URI of the staged images, or of the one image; without credentials."""
    upload: Image | None = None
    """The one image that was sent or named."""
    state: JobState = JobState.SCALING
    plan: str = ""
    """Which listing its pieces were made of; empty: none was read yet."""
    is_listed: bool = False
    """Whether the newest request's listing was read."""
    reopens: bool = False
    """Whether pieces that failed, or wait for another attempt, are to be worked on now."""
    attempt: int = 0
    due_s: float = 0.0
    """Not to be looked at before this moment, in seconds since 1970."""
    amounts: Amounts = Amounts()
    result: Result | None = None
    error: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def request(self) -> ImagesStaged:
        """Return the flight as it was asked for last."""
        return self.requests[-1].data

    @computed_field  # type: ignore[prop-decorator]
    @property
    def flight_id(self) -> str:
        """Return the flight's id, where it is about one; kept to search by."""
        return self.requests[-1].data.flight_id if self.requests else ""


def job_id_of(flight_id: str, version: str, factor: float) -> str:
    """Return the id of the job of this version at this scale."""
    return f"{flight_id}.{version}.{factor_name(factor)}"


def factor_name(factor: float) -> str:
    """Return a factor as names have it: ``2x``, ``0.5x``."""
    return f"{factor!r}".removesuffix(".0") + "x"


def base_key(job_id: str, job: Job) -> str:
    """Return where a job's results lie in the object store: a flight's beside its originals."""
    if job.kind is JobKind.IMAGE:
        return f"scaler/jobs/{job_id}"
    flight = job.request
    return f"staging/{flight.flight_id}/{flight.version}/scaled-{factor_name(job.asks.factor)}"


def asked(job: Job, event: Event[ImagesStaged], now: datetime) -> Job:
    """Return the job with one more request; its images are listed again, for there may be more of them.

    One that failed or was canceled begins anew.
    """
    if any(request.data.rerun == event.data.rerun for request in job.requests):
        return job
    requests = (*job.requests, event)
    if job.state in (JobState.FAILED, JobState.CANCELED):
        return Job(
            kind=job.kind,
            name=event.data.name,
            asks=job.asks,
            requests=requests,
            told=job.told,
            source=event.data.manifest or event.data.prefix,
            created_at=job.created_at,
            updated_at=now,
        )
    state = JobState.SCALING if job.state is JobState.DONE else job.state
    update = {
        "requests": requests,
        "name": event.data.name,
        "source": event.data.manifest or event.data.prefix,
        "is_listed": False,
        "state": state,
        "due_s": 0.0 if state is JobState.SCALING else NEVER_S,
        "updated_at": now,
    }
    return job.model_copy(update=update)


def untold(job: Job) -> tuple[Event[ImagesStaged], ...]:
    """Return the requests whose outcome was not told yet."""
    return tuple(request for request in job.requests if request.data.rerun not in job.told)


def all_told(job: Job) -> tuple[int, ...]:
    """Return the reruns that were told when those that were not are."""
    return (*job.told, *(request.data.rerun for request in untold(job)))


def is_to_be_swept(job: Job) -> bool:
    """Return whether nothing of the job is to be kept any longer, once it is due."""
    return job.state is JobState.CANCELED or (job.kind is JobKind.IMAGE and job.state in ENDED)


def paused(job: Job, now: datetime) -> Job:
    """Return the job as waiting for ``resumed``.

    Raises:
        ConflictError: It is over.
    """
    if job.state is JobState.PAUSED:
        return job
    _check(job, {JobState.SCALING}, "paused")
    return job.model_copy(update={"state": JobState.PAUSED, "due_s": NEVER_S, "updated_at": now})


def resumed(job: Job, now: datetime) -> Job:
    """Return the job as going on.

    Raises:
        ConflictError: It is over.
    """
    if job.state is JobState.SCALING:
        return job
    _check(job, {JobState.PAUSED}, "resumed")
    return due_now(job, now)


def retried(job: Job, now: datetime) -> Job:
    """Return the job with everything that failed, or waits, to be tried now; whoever asked last hears of it.

    Raises:
        ConflictError: Nothing of it failed.
    """
    if job.state is JobState.SCALING:
        return due_now(job, now)
    _check(job, {JobState.FAILED}, "retried")
    told = job.told
    if job.requests:
        told = tuple(rerun for rerun in told if rerun != job.request.rerun)
    # Without its plan, what was rejected is tried again, too.
    return due_now(job.model_copy(update={"told": told, "plan": "", "is_listed": False}), now)


def due_now(job: Job, now: datetime) -> Job:
    """Return the job as to be looked at now."""
    update = {
        "state": JobState.SCALING,
        "attempt": 0,
        "reopens": True,
        "due_s": time.time(),
        "error": None,
        "updated_at": now,
    }
    return job.model_copy(update=update)


def _check(job: Job, states: set[JobState], what: str) -> None:
    if job.state not in states:
        hint = "; ask again" if job.state in ENDED else ""
        raise ConflictError(f"a job that is {job.state.value} cannot be {what}{hint}")
