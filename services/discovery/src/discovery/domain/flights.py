"""A flight as users see it, and how what is observed and told changes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.events import FlightFound, FlightOptions, ImagesStaged, TaskCompleted

RUNS_KEPT = 20
SKIPPED_KEPT = 1000


class FlightState(StrEnum):
    """How far a flight is."""

    SETTLING = "settling"
    STAGING = "staging"
    SCALING = "scaling"
    STAGED = "staged"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


ENDED = frozenset({FlightState.COMPLETED, FlightState.FAILED, FlightState.CANCELED, FlightState.STAGED})


class Frozen(BaseModel):
    """A value."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SkippedFile(Frozen):
    """A file that takes no part, and why."""

    path: str
    reason: str


class Listing(Frozen):
    """What one look at the source found."""

    version: str
    seen_at: AwareDatetime
    image_count: int
    total_bytes: int
    sidecars: tuple[str, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()


class Run(Frozen):
    """One version on its way through the pipeline, with one set of options."""

    version: str
    rerun: int = 0
    options: FlightOptions = FlightOptions()
    state: FlightState = FlightState.STAGING
    found_at: AwareDatetime
    staged_at: AwareDatetime | None = None
    staged_prefix: str | None = None
    image_count: int = 0
    total_bytes: int = 0
    task_id: str | None = None
    finished_at: AwareDatetime | None = None
    error: str | None = None
    scaled_at: AwareDatetime | None = None
    ended_in_staging: bool = False
    """It never was staged; whoever tries that again may bring it back to life."""
    ended_in_scaling: bool = False
    """It was staged, but never scaled as it was to be; scaled images bring it back to life."""
    outputs: str | None = None
    assets: tuple[str, ...] = ()
    summary: dict[str, Any] = {}


class Flight(Frozen):
    """A flight and everything that was done with it, newest run last."""

    flight_id: str
    name: str
    source: str
    images_path: str = ""
    system_id: str = ""
    owner: str = ""
    state: FlightState = FlightState.SETTLING
    listing: Listing | None = None
    stable_since: AwareDatetime | None = None
    """Since when every look has found the same version."""
    wanted: FlightOptions = FlightOptions()
    again: bool = False
    """Whether the settled version is to be processed although it was before."""
    trouble: str | None = None
    """Why the source could not be looked at, the last time that somebody tried."""
    runs: tuple[Run, ...] = ()
    run_count: int = 0
    """How many runs there ever were; old ones are forgotten."""
    traceparent: str | None = None
    """The span in which somebody asked for it, until it is announced."""
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def run(self) -> Run | None:
        """Return the newest run."""
        return self.runs[-1] if self.runs else None


class PostedEvent(Frozen):
    """An event that an outside system posted; remembered so that the same one again changes nothing."""

    key: str
    type: str
    received_at: AwareDatetime


def observed(flight: Flight, listing: Listing) -> Flight:
    """Return the flight after one more look at its source."""
    same = flight.listing is not None and flight.listing.version == listing.version
    current = flight.run
    unannounced = current is None or current.version != listing.version or flight.again
    return flight.model_copy(
        update={
            "listing": listing,
            "stable_since": flight.stable_since if same else listing.seen_at,
            "state": FlightState.SETTLING if current is None or unannounced else current.state,
            "trouble": None,
            "updated_at": listing.seen_at,
        }
    )


def adopted(flight: Flight, owner: str) -> Flight | None:
    """Return a flight that was nobody's in particular as that of ``owner``; None: it has an owner."""
    return None if flight.owner else flight.model_copy(update={"owner": owner})


def unreadable(flight: Flight, trouble: str, now: datetime) -> Flight:
    """Return the flight after a look at its source that failed."""
    return flight.model_copy(update={"trouble": trouble, "updated_at": now})


def wanting(flight: Flight, options: FlightOptions, now: datetime, asked_in: str | None = None) -> Flight:
    """Return the flight with somebody asking for ``options`` in the span ``asked_in``.

    A version that was processed with the same options, or is on its way, is not processed again; one that
    failed or was canceled is.
    """
    current = flight.run
    answered = (
        current is not None
        and current.options == options
        and current.state not in {FlightState.FAILED, FlightState.CANCELED}
    )
    return flight.model_copy(
        update={"wanted": options, "again": not answered, "traceparent": asked_in, "updated_at": now}
    )


def announced(
    flight: Flight, settle: timedelta, *, processed_elsewhere: bool = False
) -> tuple[Flight, FlightFound] | None:
    """Return the flight and what to tell of it if it has settled and was not told of; else None.

    Args:
        flight: After a look at its source.
        settle: How long it must have stayed the same.
        processed_elsewhere: It is only to be staged, whatever its user wants: somebody else processes it.
    """
    listing, since = flight.listing, flight.stable_since
    if flight.state is not FlightState.SETTLING or listing is None or since is None:
        return None
    if listing.image_count == 0 or listing.seen_at - since < settle:
        return None
    rerun = _next_rerun(flight, listing.version)
    run = Run(
        version=listing.version,
        rerun=rerun,
        options=flight.wanted,
        found_at=listing.seen_at,
        image_count=listing.image_count,
        total_bytes=listing.total_bytes,
    )
    found = found_again(flight, run)
    if processed_elsewhere:
        options = found.options.model_copy(update={"skip_processing": True})
        found = found.model_copy(update={"options": options})
    return _begun(flight, run, listing.seen_at), found


def found_again(flight: Flight, run: Run) -> FlightFound:
    """Return what is told of a version that was found, as far as it is still known."""
    listing = flight.listing
    return FlightFound(
        flight_id=flight.flight_id,
        version=run.version,
        name=flight.name,
        source=flight.source,
        system_id=flight.system_id,
        images_path=flight.images_path,
        image_count=run.image_count,
        total_bytes=run.total_bytes,
        sidecars=listing.sidecars if listing and listing.version == run.version else (),
        owner=flight.owner,
        options=run.options,
        rerun=run.rerun,
    )


def staged(flight: Flight, event: ImagesStaged, now: datetime) -> Flight:
    """Return the flight after its images were staged, or scaled and staged again."""
    run = _run_of(flight, event.version, event.rerun) or Run(
        version=event.version, rerun=event.rerun, options=event.options, found_at=now
    )
    state = _state_after_staging(event)
    is_late = state is FlightState.SCALING and run.state is FlightState.PROCESSING
    is_scaled = event.scale.applied is not None
    is_over = run.state in ENDED and not (run.ended_in_staging or (run.ended_in_scaling and is_scaled))
    if is_over or is_late:
        return flight
    return _with_news(
        flight,
        run.model_copy(
            update={
                "state": state,
                "ended_in_staging": False,
                "ended_in_scaling": False,
                "error": None,
                "finished_at": None,
                "staged_at": (run.staged_at or now) if is_scaled else now,
                "scaled_at": now if is_scaled else None,
                "staged_prefix": event.prefix,
                "image_count": event.image_count,
                "total_bytes": event.total_bytes,
            }
        ),
        now,
    )


def completed(flight: Flight, event: TaskCompleted) -> Flight:
    """Return the flight after its task ended; that an earlier stage failed before it succeeded is no news."""
    run = _run_of(flight, event.version or "", event.rerun) or Run(
        version=event.version or "", rerun=event.rerun, found_at=event.started_at or event.finished_at
    )
    in_staging, in_scaling = event.kind == "ingest", event.kind == "scaler"
    if (in_staging and run.staged_at is not None) or (in_scaling and run.scaled_at is not None):
        return flight
    return _with_news(
        flight,
        run.model_copy(
            update={
                "state": FlightState(event.status),
                "ended_in_staging": in_staging,
                "ended_in_scaling": in_scaling,
                "task_id": event.task_id,
                "finished_at": event.finished_at,
                "error": event.error,
                "outputs": event.outputs,
                "assets": event.assets,
                "summary": event.summary,
            }
        ),
        event.finished_at,
    )


def _state_after_staging(event: ImagesStaged) -> FlightState:
    if event.scale.requested and not event.scale.applied:
        return FlightState.SCALING
    return FlightState.STAGED if event.options.skip_processing else FlightState.PROCESSING


def _run_of(flight: Flight, version: str, rerun: int) -> Run | None:
    return next((run for run in flight.runs if (run.version, run.rerun) == (version, rerun)), None)


def _next_rerun(flight: Flight, version: str) -> int:
    """Return a number that no run of this version ever had."""
    reruns = [run.rerun for run in flight.runs if run.version == version]
    if reruns:
        return max(reruns) + 1
    return flight.run_count if flight.run_count > len(flight.runs) else 0


def _begun(flight: Flight, run: Run, now: datetime) -> Flight:
    flight = _with_run(flight, run)
    update = {"state": run.state, "again": False, "traceparent": None, "updated_at": now}
    return flight.model_copy(update=update)


def _with_run(flight: Flight, run: Run) -> Flight:
    runs = (*flight.runs, run)[-RUNS_KEPT:]
    return flight.model_copy(update={"runs": runs, "run_count": flight.run_count + 1})


def _with_news(flight: Flight, run: Run, now: datetime) -> Flight:
    """Return the flight with ``run`` in its place, or as its newest where an outside system began it."""
    if _run_of(flight, run.version, run.rerun) is None:
        flight = _with_run(flight, run)
    runs = tuple(
        run if (kept.version, kept.rerun) == (run.version, run.rerun) else kept for kept in flight.runs
    )
    # Behind a newer version, or the same one again, that waits to be told of, the news are old.
    waiting = flight.state is FlightState.SETTLING and flight.listing is not None
    state = run.state if runs[-1] is run and not waiting else flight.state
    return flight.model_copy(update={"runs": runs, "state": state, "updated_at": now})
