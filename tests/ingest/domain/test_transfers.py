from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest.domain.transfers import (
    Amounts,
    Staged,
    Transfer,
    TransferState,
    asked,
    base_key,
    images_staged,
    transfer_id,
    untold,
)
from ingest.telling import answer_id, failed, finished, postponed, told
from shared.due import delay_s
from shared.events import Event, FlightFound, FlightOptions, ImagesStaged, TaskCompleted, new_event

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
STAGED = Staged(prefix="s3://b/p", manifest="s3://b/p/manifest.json", image_count=2, total_bytes=6)
LADDER = (timedelta(seconds=1), timedelta(seconds=5))


def found(rerun: int = 0, *, source: str = "flightline/discovery", **more: Any) -> Event[FlightFound]:
    facts = {"flight_id": "f", "version": "v", "name": "f", "source": "file:///f", "image_count": 2}
    data = FlightFound.model_validate({**facts, "total_bytes": 6, "rerun": rerun, **more})
    return new_event(source, data)


def transfer(*asks: Event[FlightFound], **changes: Any) -> Transfer:
    new = Transfer(asks=asks or (found(),), created_at=NOW, updated_at=NOW)
    return new.model_copy(update=changes)


def test_a_transfer_is_named_after_flight_and_version() -> None:
    assert transfer_id(found().data) == "f.v"
    assert base_key(found().data) == "staging/f/v"


def test_the_same_rerun_asked_for_twice_is_one_request() -> None:
    after = asked(transfer(), found(source="elsewhere"), NOW)

    assert [ask.source for ask in after.asks] == ["flightline/discovery"]


def test_a_rerun_joins_a_transfer_that_is_under_way() -> None:
    after = asked(transfer(attempt=3), found(1), NOW)

    assert [ask.data.rerun for ask in untold(after)] == [0, 1]
    assert (after.state, after.attempt) == (TransferState.COPYING, 3)


def test_a_rerun_of_a_failed_transfer_begins_anew() -> None:
    broken = transfer(state=TransferState.FAILED, attempt=5, error="bad", told=(0,), due_s=9e9)
    after = asked(broken, found(1), NOW)

    assert (after.state, after.attempt, after.error, after.due_s) == (TransferState.COPYING, 0, None, 0)
    assert [ask.data.rerun for ask in untold(after)] == [1]


def test_a_finished_transfer_tells_each_rerun_once() -> None:
    first = finished(transfer(), STAGED, Amounts())
    second = told(asked(first.body, found(1), NOW), NOW)
    third = told(asked(second.body, found(1), NOW), NOW)

    assert [len(change.events) for change in (first, second, third)] == [1, 1, 0]
    assert [event.data.rerun for change in (first, second) for event in change.events] == [0, 1]


def test_a_transfer_under_way_tells_nothing() -> None:
    assert told(transfer(), NOW).events == ()


def test_staged_images_carry_what_was_asked() -> None:
    options = FlightOptions(scale=2, skip_processing=True)
    event = images_staged(found(4, options=options), STAGED)

    assert (event.flight_id, event.version, event.rerun, event.prefix) == ("f", "v", 4, "s3://b/p")
    assert (event.scale.requested, event.scale.applied, event.options) == (2, None, options)


def test_a_failed_transfer_tells_everybody_who_asked() -> None:
    change = failed(transfer(found(), found(1)), "no such bucket")
    events = [event.data for event in change.events]

    assert [(event.rerun, event.kind, event.status) for event in events] == [
        (0, "ingest", "failed"),
        (1, "ingest", "failed"),
    ]
    assert events[0].task_id != events[1].task_id
    assert (events[0].error, change.body.told, change.release) == ("no such bucket", (0, 1), True)


def test_a_transfer_waits_longer_each_time_and_then_gives_up() -> None:
    first = postponed(transfer(), "busy", ladder=LADDER)
    second = postponed(first.body, "busy", ladder=LADDER)
    third = postponed(second.body, "busy", ladder=LADDER)

    assert [change.body.state.value for change in (first, second, third)] == ["copying", "copying", "failed"]
    assert second.body.due_s > first.body.due_s + 3
    assert third.body.error == "busy (given up after 3 attempts)"


@pytest.mark.parametrize(("failures", "wait_s"), [(1, 1.0), (2, 5.0), (3, None)])
def test_the_delay_follows_the_ladder(failures: int, wait_s: float | None) -> None:
    assert delay_s(failures, LADDER) == wait_s


def test_an_answer_is_named_after_the_whole_request() -> None:
    ask = found()
    other = ask.model_copy(update={"source": "elsewhere"})

    assert answer_id(ask, "staged") == answer_id(ask, "staged")
    assert len({answer_id(ask, "staged"), answer_id(ask, "failed"), answer_id(other, "staged")}) == 3


@pytest.mark.parametrize("change", [finished(transfer(), STAGED, Amounts()), failed(transfer(), "bad")])
def test_answers_carry_cause_and_correlation(change: Any) -> None:
    (event,) = change.events

    assert isinstance(event.data, ImagesStaged | TaskCompleted)
    assert event.causationid == event.correlationid != event.id


def test_a_request_with_the_longest_id_is_answered() -> None:
    ask = found().model_copy(update={"id": "x" * 512})

    assert len(finished(transfer(ask), STAGED, Amounts()).events) == 1
