"""A flight as a person follows it: stage by stage, with counts, bytes, rates and products."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime

from discovery.domain.flights import Flight, FlightState, Frozen, Run

StageState = Literal["waiting", "under way", "done", "failed", "canceled", "skipped"]


class Stage(Frozen):
    """One part of a flight's way."""

    name: Literal["found", "staged", "scaled", "processed"]
    state: StageState
    image_count: int | None = None
    total_bytes: int | None = None
    began_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    bytes_per_s: float | None = None
    error: str | None = None


class FlightView(Flight):
    """A flight, with what its newest run has come to."""

    stages: tuple[Stage, ...] = ()
    products: tuple[str, ...] = ()
    """URIs of what processing made."""
    errors: tuple[str, ...] = ()


def viewed(flight: Flight) -> FlightView:
    """Return a flight as it is shown."""
    run = flight.run
    stages = (_found(flight), _staged(run), *_scaled(run), _processed(run))
    products = [f"{run.outputs.rstrip('/')}/{name}" for name in run.assets] if run and run.outputs else []
    errors = [flight.trouble, *(stage.error for stage in stages)]
    return FlightView(
        **dict(flight),
        stages=stages,
        products=tuple(products),
        errors=tuple(dict.fromkeys(error for error in errors if error)),
    )


def _found(flight: Flight) -> Stage:
    listing = flight.listing
    return Stage(
        name="found",
        state="under way" if flight.state is FlightState.SETTLING else "done",
        image_count=listing.image_count if listing else None,
        total_bytes=listing.total_bytes if listing else None,
        began_at=flight.created_at,
        ended_at=flight.run.found_at if flight.run else None,
        error=flight.trouble,
    )


def _staged(run: Run | None) -> Stage:
    if run is None:
        return Stage(name="staged", state="waiting")
    has_failed = run.staged_at is None and run.state is FlightState.FAILED
    return Stage(
        name="staged",
        state=_done_or(run.staged_at, run.state),
        image_count=run.image_count,
        total_bytes=run.total_bytes,
        began_at=run.found_at,
        ended_at=run.staged_at,
        bytes_per_s=_rate(run.total_bytes, run.found_at, run.staged_at),
        error=run.error if has_failed else None,
    )


def _done_or(staged_at: datetime | None, state: FlightState) -> StageState:
    if staged_at:
        return "done"
    match state:
        case FlightState.FAILED:
            return "failed"
        case FlightState.CANCELED:
            return "canceled"
        case FlightState.COMPLETED:
            return "done"
        case _:
            return "under way"


def _scaled(run: Run | None) -> tuple[Stage, ...]:
    """Return the stage of a flight whose images are to be scaled; of others, none."""
    if run is None or run.options.scale is None:
        return ()
    if run.staged_at is None:
        return (Stage(name="scaled", state="waiting"),)
    return (
        Stage(
            name="scaled",
            state=_done_or(run.scaled_at, run.state),
            image_count=run.image_count,
            began_at=run.staged_at,
            ended_at=run.scaled_at,
            error=run.error if run.ended_in_scaling else None,
        ),
    )


def _processed(run: Run | None) -> Stage:
    is_staged = run is not None and run.staged_at is not None and not run.ended_in_scaling
    if run is None or not (is_staged or run.state is FlightState.COMPLETED):
        return Stage(name="processed", state="waiting")
    states: dict[FlightState, StageState] = {
        FlightState.STAGED: "skipped",
        FlightState.SCALING: "waiting",
        FlightState.COMPLETED: "done",
        FlightState.FAILED: "failed",
        FlightState.CANCELED: "canceled",
    }
    return Stage(
        name="processed",
        state=states.get(run.state, "under way"),
        image_count=run.image_count,
        began_at=run.scaled_at or run.staged_at,
        ended_at=run.finished_at,
        error=run.error,
    )


def _rate(size: int, began_at: datetime, ended_at: datetime | None) -> float | None:
    passed_s = (ended_at - began_at).total_seconds() if ended_at else 0.0
    return round(size / passed_s, 1) if passed_s > 0 else None
