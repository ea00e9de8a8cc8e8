"""How a job goes on and ends, and what everybody who asked for it hears of that."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

from scaler.domain.jobs import (
    Amounts,
    Job,
    JobKind,
    JobState,
    Result,
    all_told,
    factor_name,
    is_to_be_swept,
    untold,
)
from shared.due import NEVER_S, delay_s
from shared.errors import ConflictError
from shared.events import Event, ImagesStaged, Scale, TaskCompleted, new_event
from shared.state import Change

SERVICE = "flightline/scaler"
_ENDINGS: Mapping[JobState, Literal["failed", "canceled"]] = {
    JobState.FAILED: "failed",
    JobState.CANCELED: "canceled",
}
LOOKED_AT_EVERY_S = 30.0
"""A job whose pieces are worked on; the last of them has it looked at at once."""
BUSY_S = 0.5
"""About the time that an image takes."""


def planned(job: Job, *, plan: str, listed: int, amounts: Amounts) -> Change[Job]:
    """Return the job with its pieces; ``listed`` is the number of requests that there were then."""
    if job.state is not JobState.SCALING:
        return Change(job, release=True)
    update = {
        "plan": plan,
        "is_listed": len(job.requests) == listed,
        "amounts": amounts,
        "attempt": 0,
        "due_s": time.time(),
        "error": None,
        "updated_at": datetime.now(UTC),
    }
    return Change(job.model_copy(update=update), release=True)


def looked_at(job: Job, *, amounts: Amounts, reopened: bool) -> Change[Job]:
    """Return the job as going on, with what is done of it."""
    if job.state is not JobState.SCALING:
        return Change(job, release=True)
    is_complete = job.amounts.images_done >= job.amounts.images_total  # by what was told meanwhile
    update = {
        "amounts": amounts,
        "reopens": job.reopens and not reopened,
        "due_s": time.time() + (0.0 if is_complete else LOOKED_AT_EVERY_S),
        "updated_at": datetime.now(UTC),
    }
    return Change(job.model_copy(update=update), release=True)


def relisted(job: Job) -> Change[Job]:
    """Return the job as to be listed anew, because its images were replaced while it was worked on."""
    if job.state is not JobState.SCALING:
        return Change(job, release=True)
    return Change(job.model_copy(update={"is_listed": False, "due_s": time.time()}), release=True)


def finished(job: Job, *, result: Result, amounts: Amounts, keep: timedelta, requests: int) -> Change[Job]:
    """Return the job as done, and what everybody who asked has to hear.

    Args:
        job: As it is now.
        result: What came out.
        amounts: All of it.
        keep: How long the result of one image is kept.
        requests: How many there were when it was listed; of a later one, more has to be looked at.
    """
    if job.state is not JobState.SCALING:
        return Change(job, release=True)
    if len(job.requests) != requests:
        return Change(job.model_copy(update={"due_s": time.time()}), release=True)
    now = datetime.now(UTC)
    update = {
        "state": JobState.DONE,
        "result": result,
        "amounts": amounts.model_copy(
            update={
                "bytes_total": max(amounts.bytes_total, amounts.bytes_done)
            }  # nobody knew, if one was named
        ),
        "told": all_told(job),
        "attempt": 0,
        "due_s": _after(job, keep),
        "error": None,
        "updated_at": now,
    }
    events = [_staged(job, request, result) for request in untold(job)]
    return Change(job.model_copy(update=update), events, release=True)


def postponed(
    job: Job, error: str, *, ladder: Sequence[timedelta], keep: timedelta, at_least: timedelta | None = None
) -> Change[Job]:
    """Return the job as due again later, or as failed if it was tried often enough."""
    wait_s = delay_s(job.attempt + 1, ladder)
    if wait_s is None and job.state is JobState.SCALING:
        return failed(job, f"{error} (given up after {job.attempt + 1} attempts)", keep=keep)
    wait_s = max(wait_s or ladder[-1].total_seconds(), at_least.total_seconds() if at_least else 0)
    update = {
        "attempt": job.attempt + 1,
        "due_s": NEVER_S if job.state is JobState.PAUSED else time.time() + wait_s,
        "error": error,
        "updated_at": datetime.now(UTC),
    }
    return Change(job.model_copy(update=update), release=True)


def failed(job: Job, error: str, *, keep: timedelta) -> Change[Job]:
    """Return the job as failed, and what everybody who asked has to hear."""
    if job.state in (JobState.CANCELED, JobState.DONE):  # it could not even be swept
        return Change(job.model_copy(update={"due_s": NEVER_S}), release=True)
    return _ended(job, JobState.FAILED, "failed", error, _after(job, keep))


def canceled(job: Job) -> Change[Job]:
    """Return the job as canceled, to be swept, and what everybody who asked has to hear.

    Raises:
        ConflictError: It is over.
    """
    if job.state is JobState.CANCELED:
        return Change(job)
    if job.state in (JobState.DONE, JobState.FAILED):
        raise ConflictError(f"a job that is {job.state.value} cannot be canceled")
    change = _ended(job, JobState.CANCELED, "canceled", "canceled by a user", time.time())
    return Change(change.body, change.events)  # whoever looks at it now goes on to sweep it


def at_rest(job: Job) -> Change[Job]:
    """Return a job of which nothing is left to do; one about a single image is forgotten once it is swept."""
    if job.state is JobState.SCALING:  # asked for again meanwhile
        return Change(job, release=True)
    is_gone = job.kind is JobKind.IMAGE and is_to_be_swept(job)
    gone_at = datetime.now(UTC) if is_gone else None
    return Change(job.model_copy(update={"due_s": NEVER_S}), release=True, expires_at=gone_at)


def busy(job: Job) -> Change[Job]:
    """Return a job that has to wait for whoever still has a piece of it in hand."""
    due_s = NEVER_S if job.state is JobState.PAUSED else time.time() + BUSY_S
    return Change(job.model_copy(update={"due_s": due_s}), release=True)


def _after(job: Job, keep: timedelta) -> float:
    return time.time() + keep.total_seconds() if job.kind is JobKind.IMAGE else NEVER_S


def answers(job: Job) -> list[Event[ImagesStaged] | Event[TaskCompleted]]:
    """Return what everybody who asked was told, under the ids that it was told under."""
    requests = [request for request in job.requests if request.data.rerun in job.told]
    if job.result is not None and job.state is JobState.DONE:
        return [_staged(job, request, job.result) for request in requests]
    status = _ENDINGS.get(job.state)
    return [_ending(job, each, status, job.error or "", job.updated_at) for each in requests if status]


def _ended(
    job: Job, state: JobState, status: Literal["failed", "canceled"], error: str, due_s: float
) -> Change[Job]:
    now = datetime.now(UTC)
    update = {"state": state, "error": error, "told": all_told(job), "due_s": due_s, "updated_at": now}
    events = [_ending(job, request, status, error, now) for request in untold(job)]
    return Change(job.model_copy(update=update), events, release=True)


def _answer_id(job: Job, request: Event[ImagesStaged], outcome: str) -> str:
    """Name the one event that tells whoever asked of the outcome."""
    return str(uuid5(NAMESPACE_URL, f"scaler/{outcome}/{factor_name(job.asks.factor)}/{request.key}"))


def _staged(job: Job, request: Event[ImagesStaged], result: Result) -> Event[ImagesStaged]:
    update = {
        "prefix": result.prefix,
        "manifest": result.manifest,
        "image_count": result.image_count,
        "total_bytes": result.total_bytes,
        "scale": Scale(requested=request.data.scale.requested, applied=job.asks.factor),
    }
    data = request.data.model_copy(update=update)
    return new_event(SERVICE, data, event_id=_answer_id(job, request, "staged"), cause=request)


def _ending(
    job: Job,
    request: Event[ImagesStaged],
    status: Literal["failed", "canceled"],
    error: str,
    now: datetime,
) -> Event[TaskCompleted]:
    flight = request.data
    name = f"scaler/{flight.flight_id}/{flight.version}/{job.asks.factor}/{flight.rerun}"
    told = TaskCompleted(
        task_id=str(uuid5(NAMESPACE_URL, name)),
        kind="scaler",
        name=flight.name,
        status=status,
        error=error,
        finished_at=now,
        flight_id=flight.flight_id,
        version=flight.version,
        rerun=flight.rerun,
    )
    return new_event(SERVICE, told, event_id=_answer_id(job, request, status), cause=request)
