"""What users may do to a transfer, and when."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from ingest.domain.transfers import (
    Amounts,
    Staged,
    Transfer,
    TransferState,
    asked,
    begun,
    paused,
    resumed,
    retried,
)
from ingest.telling import canceled, failed, finished, postponed, swept, waiting_for_login
from shared.errors import ConflictError
from shared.events import TaskCompleted
from tests.ingest.domain.test_transfers import NOW, STAGED, found, transfer

OVER = [TransferState.STAGED, TransferState.FAILED, TransferState.CANCELED]


@pytest.mark.parametrize("state", [TransferState.COPYING, TransferState.NEEDS_LOGIN])
def test_a_paused_transfer_goes_on_when_it_is_resumed(state: TransferState) -> None:
    stopped = paused(transfer(state=state, due_s=9e9), NOW)
    going_on = resumed(stopped, NOW)

    assert (stopped.state, going_on.state) == (TransferState.PAUSED, TransferState.COPYING)
    assert going_on.due_s <= time.time()


def test_what_was_done_already_changes_nothing() -> None:
    stopped = transfer(state=TransferState.PAUSED)
    given_up = transfer(state=TransferState.CANCELED)

    assert paused(stopped, NOW) is stopped
    assert resumed(running := transfer(), NOW) is running
    assert canceled(given_up).body is given_up


@pytest.mark.parametrize("state", OVER)
def test_what_is_over_can_be_neither_paused_nor_resumed(state: TransferState) -> None:
    for steer in (paused, resumed):
        with pytest.raises(ConflictError, match=f"that is {state.value} cannot be"):
            steer(transfer(state=state), NOW)


@pytest.mark.parametrize("state", [TransferState.STAGED, TransferState.FAILED])
def test_what_ended_cannot_be_canceled(state: TransferState) -> None:
    with pytest.raises(ConflictError):
        canceled(transfer(state=state))


def test_a_canceled_transfer_tells_everybody_who_asked() -> None:
    change = canceled(transfer(found(), found(1)))
    events = [event.data for event in change.events]

    assert [(event.rerun, event.status) for event in events if isinstance(event, TaskCompleted)] == [
        (0, "canceled"),
        (1, "canceled"),
    ]
    assert change.body.state is TransferState.CANCELED


def test_nothing_that_ends_later_wakes_a_canceled_transfer() -> None:
    given_up = canceled(transfer()).body
    later = [
        finished(given_up, STAGED, Amounts()),
        failed(given_up, "bad"),
        postponed(given_up, "busy", ladder=[timedelta(seconds=1)]),
        waiting_for_login(given_up, "log in", every=timedelta(seconds=1)),
    ]

    assert {(change.body.state, tuple(change.events)) for change in later} == {(TransferState.CANCELED, ())}
    assert begun(given_up, Amounts(), NOW) is None


def test_a_canceled_transfer_is_swept_once() -> None:
    assert swept(canceled(transfer()).body).body.due_s > time.time() + 1e9


def test_a_pause_survives_a_failure_that_may_pass() -> None:
    stopped = paused(transfer(), NOW)
    change = postponed(stopped, "busy", ladder=[timedelta(seconds=1)])

    assert (change.body.state, change.body.attempt) == (TransferState.PAUSED, 1)


def test_a_retried_transfer_has_all_attempts_before_it_and_is_told_of_again() -> None:
    broken = failed(transfer(found(), found(1), attempt=3), "bad").body
    again = retried(broken, NOW)
    done = finished(again, STAGED, Amounts())

    assert (again.state, again.attempt, again.error) == (TransferState.COPYING, 0, None)
    assert [event.data.rerun for event in done.events] == [1]


def test_only_what_failed_or_waits_is_retried() -> None:
    waiting = transfer(due_s=9e9, attempt=2)

    assert retried(waiting, NOW).due_s <= time.time()
    for state in (TransferState.STAGED, TransferState.CANCELED):
        with pytest.raises(ConflictError):
            retried(transfer(state=state), NOW)


def test_waiting_for_a_login_costs_no_attempt() -> None:
    change = waiting_for_login(transfer(attempt=2), "log in", every=timedelta(seconds=30))

    assert (change.body.state, change.body.attempt) == (TransferState.NEEDS_LOGIN, 2)
    assert change.body.error == "log in"
    assert change.release


def test_copying_begins_when_the_source_could_be_read_again() -> None:
    waiting = transfer(state=TransferState.NEEDS_LOGIN, error="log in")
    going_on = begun(waiting, Amounts(files_total=3), NOW)

    assert going_on is not None
    assert (going_on.state, going_on.error, going_on.amounts.files_total) == (TransferState.COPYING, None, 3)


@pytest.mark.parametrize("unlucky", [0, 1])
def test_a_rerun_tries_files_again_that_could_not_be_read(unlucky: int) -> None:
    staged = STAGED.model_copy(update={"unlucky_count": unlucky})
    after = asked(transfer(state=TransferState.STAGED, staged=staged, told=(0,)), found(1), NOW)

    assert (after.state is TransferState.COPYING) == bool(unlucky)


def test_a_server_that_asks_for_patience_gets_it() -> None:
    change = postponed(transfer(), "busy", ladder=[timedelta(seconds=1)], at_least=timedelta(minutes=5))

    assert change.body.due_s > time.time() + 250


def test_the_rest_takes_as_long_as_its_bytes() -> None:
    assert Amounts(bytes_total=300, bytes_done=100, bytes_per_s=50).eta_s == 4
    assert Amounts(bytes_total=300, bytes_done=100).eta_s is None


def test_what_is_searched_by_is_kept_with_the_transfer() -> None:
    body = transfer(found(owner="ann@tacc", system_id="disk")).model_dump(mode="json")

    assert (body["flight_id"], body["owner"], body["system_id"], body["name"]) == (
        "f",
        "ann@tacc",
        "disk",
        "f",
    )
    assert Transfer.model_validate(body).model_dump(mode="json") == body
    assert isinstance(STAGED, Staged)
