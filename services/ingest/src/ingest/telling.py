"""How a transfer ends, and what everybody who asked for it hears of that."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

from ingest.domain.transfers import (
    UNDER_WAY,
    Amounts,
    Staged,
    Transfer,
    TransferState,
    images_staged,
    untold,
)
from shared.due import NEVER_S, delay_s
from shared.errors import ConflictError
from shared.events import Event, FlightFound, ImagesStaged, TaskCompleted, new_event
from shared.state import Change

SERVICE = "flightline/ingest"
_ENDINGS: Mapping[TransferState, Literal["failed", "canceled"]] = {
    TransferState.FAILED: "failed",
    TransferState.CANCELED: "canceled",
}


def answer_id(ask: Event[FlightFound], outcome: str) -> str:
    """Name the one event that tells whoever asked of the outcome."""
    return str(uuid5(NAMESPACE_URL, f"ingest/{outcome}/{ask.key}"))


def answers(transfer: Transfer) -> list[Event[ImagesStaged] | Event[TaskCompleted]]:
    """Return what everybody who asked was told, under the ids that it was told under."""
    asks = [ask for ask in transfer.asks if ask.data.rerun in transfer.told]
    if transfer.staged is not None and transfer.state is TransferState.STAGED:
        return [_staging(ask, transfer.staged) for ask in asks]
    status = _ENDINGS.get(transfer.state)
    return [_ending(ask, status, transfer.error or "", transfer.updated_at) for ask in asks if status]


def told(transfer: Transfer, now: datetime) -> Change[Transfer]:
    """Return the transfer and what everybody who asked has to hear of it."""
    if transfer.state is not TransferState.STAGED or transfer.staged is None:
        return Change(transfer)
    events = [_staging(ask, transfer.staged) for ask in untold(transfer)]
    return Change(transfer.model_copy(update={"told": _all_told(transfer), "updated_at": now}), events)


def finished(transfer: Transfer, staged: Staged, amounts: Amounts) -> Change[Transfer]:
    """Return the transfer as staged, and what everybody who asked has to hear."""
    now = datetime.now(UTC)
    if transfer.state is TransferState.CANCELED:
        return Change(transfer, release=True)
    update = {
        "state": TransferState.STAGED,
        "staged": staged,
        "amounts": amounts,
        "error": None,
        "updated_at": now,
    }
    change = told(transfer.model_copy(update=update), now)
    return Change(change.body, change.events, release=True)


def postponed(
    transfer: Transfer, error: str, *, ladder: Sequence[timedelta], at_least: timedelta | None = None
) -> Change[Transfer]:
    """Return the transfer as due again later, or as failed if it was tried often enough."""
    attempt = transfer.attempt + 1
    wait_s = delay_s(attempt, ladder)
    if wait_s is None:
        return failed(transfer, f"{error} (given up after {attempt} attempts)")
    wait_s = max(wait_s, at_least.total_seconds() if at_least else 0)
    return _later(transfer, transfer.state, error, wait_s, attempt)


def waiting_for_login(transfer: Transfer, error: str, *, every: timedelta) -> Change[Transfer]:
    """Return the transfer as waiting for its user to log in again, however long that takes."""
    state = TransferState.NEEDS_LOGIN if transfer.state in UNDER_WAY else transfer.state
    return _later(transfer, state, error, every.total_seconds(), transfer.attempt)


def _later(
    transfer: Transfer, state: TransferState, error: str, wait_s: float, attempt: int
) -> Change[Transfer]:
    if transfer.state is TransferState.CANCELED:
        return Change(transfer, release=True)
    update = {
        "state": state,
        "attempt": attempt,
        "due_s": time.time() + wait_s,
        "error": error,
        "updated_at": datetime.now(UTC),
    }
    return Change(transfer.model_copy(update=update), release=True)


def failed(transfer: Transfer, error: str) -> Change[Transfer]:
    """Return the transfer as failed, and what everybody who asked has to hear."""
    if transfer.state is TransferState.CANCELED:
        return Change(transfer, release=True)
    return _ended(transfer, TransferState.FAILED, "failed", error)


def canceled(transfer: Transfer) -> Change[Transfer]:
    """Return the transfer as canceled, to be swept, and what everybody who asked has to hear.

    Raises:
        ConflictError: It is over.
    """
    if transfer.state is TransferState.CANCELED:
        return Change(transfer)
    if transfer.state in (TransferState.STAGED, TransferState.FAILED):
        raise ConflictError(f"a transfer that is {transfer.state.value} cannot be canceled")
    change = _ended(transfer, TransferState.CANCELED, "canceled", "canceled by a user")
    return Change(change.body.model_copy(update={"due_s": time.time()}), change.events)


def swept(transfer: Transfer) -> Change[Transfer]:
    """Return a canceled transfer of which nothing is left in the store."""
    if transfer.state is not TransferState.CANCELED:  # asked for again meanwhile
        return Change(transfer, release=True)
    return Change(transfer.model_copy(update={"due_s": NEVER_S}), release=True)


def _ended(
    transfer: Transfer, state: TransferState, status: Literal["failed", "canceled"], error: str
) -> Change[Transfer]:
    now = datetime.now(UTC)
    update = {"state": state, "error": error, "told": _all_told(transfer), "updated_at": now}
    events = [_ending(ask, status, error, now) for ask in untold(transfer)]
    return Change(transfer.model_copy(update=update), events, release=True)


def _all_told(transfer: Transfer) -> tuple[int, ...]:
    return (*transfer.told, *(ask.data.rerun for ask in untold(transfer)))


def _staging(ask: Event[FlightFound], staged: Staged) -> Event[ImagesStaged]:
    return new_event(SERVICE, images_staged(ask, staged), event_id=answer_id(ask, "staged"), cause=ask)


def _ending(
    ask: Event[FlightFound], status: Literal["failed", "canceled"], error: str, now: datetime
) -> Event[TaskCompleted]:
    flight = ask.data
    told = TaskCompleted(
        task_id=str(uuid5(NAMESPACE_URL, f"ingest/{flight.flight_id}/{flight.version}/{flight.rerun}")),
        kind="ingest",
        name=flight.name,
        status=status,
        error=error,
        finished_at=now,
        flight_id=flight.flight_id,
        version=flight.version,
        rerun=flight.rerun,
    )
    return new_event(SERVICE, told, event_id=answer_id(ask, status), cause=ask)
