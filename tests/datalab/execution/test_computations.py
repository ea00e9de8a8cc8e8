"""The state machine of computations, whatever happens in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datalab.domain.asked import AskedOperation, State
from datalab.domain.computations import (
    Computation,
    InputFile,
    Outcome,
    StoredFile,
    StoredOutput,
    begun,
    cancelled,
    completed,
    crashed,
    delayed,
    exhausted,
    failed,
    given_back,
    joined,
    lined_up,
    progressed,
    strays,
    swept,
    told,
    unwanted,
)
from datalab.domain.endings import completion, given_up, settled

NOW_US = 1_000_000_000
LADDER = (timedelta(seconds=1), timedelta(seconds=5))
NEW = Computation(key="k", name="Median", version=1, inputs={}, files=(), created_us=1)
STEPS: dict[str, Callable[[Computation], Computation | None]] = {
    "begun": partial(begun, now_us=NOW_US, attempt="a1"),
    "given back": given_back,
    "progressed": partial(progressed, done=0.5),
    "progressed less": partial(progressed, done=0.2),
    "progressed too far": partial(progressed, done=7.0),
    "no number": partial(progressed, done=float("nan")),
    "completed": partial(completed, outcome=Outcome(), now_us=NOW_US),
    "failed": partial(failed, message="no", now_us=NOW_US),
    "cancelled": partial(cancelled, now_us=NOW_US),
    "crashed": partial(crashed, why="it crashed", now_us=NOW_US, at_most=3),
    "delayed": partial(delayed, why="busy", now_us=NOW_US, ladder=LADDER, at_least=None),
    "lined up": partial(lined_up, turn=7),
}


@settings(max_examples=200)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=20))
def test_progress_grows_and_an_end_is_final(names: list[str]) -> None:
    one = NEW
    for name in names:
        after = STEPS[name](one) or one
        assert 0 <= one.progress <= after.progress <= 1
        if one.state.is_final:
            assert after == one
        if after.state is State.COMPLETED:
            assert (after.progress, after.outcome) == (1.0, Outcome())
        else:
            assert after.progress < 1
        one = after


def test_crashes_are_counted_up_to_the_last() -> None:
    one, states = NEW, []
    for _ in range(3):
        one = crashed(one, "it crashed", NOW_US, at_most=3) or one
        states.append(one.state)

    assert states == [State.PENDING, State.PENDING, State.FAILED]
    assert one.message == "Median could not be computed: it crashed (3 times). Try fewer or smaller files."


def test_delays_follow_the_ladder_and_what_the_server_wants() -> None:
    first = delayed(NEW, "The archive is busy", NOW_US, LADDER, None)
    assert first is not None
    assert first.due_s == 1001
    longer = delayed(NEW, "The archive is busy", NOW_US, LADDER, timedelta(seconds=60))
    assert longer is not None
    assert longer.due_s == 1060
    second = delayed(first, "The archive is busy", NOW_US, LADDER, None)
    assert second is not None
    last = delayed(second, "The archive is busy", NOW_US, LADDER, None)
    assert last is not None
    assert last.message == "The archive is busy. It was tried 3 times; retry the operation later."


def test_workers_that_end_over_it_are_counted_and_those_that_hand_it_back_are_not() -> None:
    one = NEW
    for _ in range(10):
        for end in (STEPS["given back"], partial(crashed, why="", now_us=1, at_most=99), STEPS["delayed"]):
            one = begun(one, NOW_US, "a1") or one
            one = (end(one) or one).model_copy(update={"delays": 0})
    assert exhausted(one, 3) is None
    for _ in range(4):
        one = begun(one, NOW_US, "a1") or one

    assert "3 workers ended over it" in (exhausted(one, 3) or "")


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_what_failed_or_was_cancelled_begins_anew_when_asked_again(state: State) -> None:
    old = NEW.model_copy(update={"state": state, "crashes": 3, "begun": 9, "message": "no", "progress": 0.4})

    again = joined(old, NEW, NOW_US)

    assert again is not None
    assert (again.state, again.crashes, again.begun, again.message) == (State.PENDING, 0, 0, "")


def test_what_goes_on_or_is_there_is_joined_as_it_is() -> None:
    done = NEW.model_copy(update={"state": State.COMPLETED})

    assert joined(NEW, NEW, NOW_US) is None
    assert joined(done, NEW, NOW_US) is None


def test_fresh_links_are_taken_over_by_what_still_waits() -> None:
    file = InputFile(source="archive", basename="a", content="c", place="1", url="https://old")
    old = NEW.model_copy(update={"files": (file,)})
    fresh = NEW.model_copy(update={"files": (file.model_copy(update={"url": "https://new"}),)})

    taken = joined(old, fresh, NOW_US)

    assert taken is not None
    assert taken.files[0].url == "https://new"


def test_expiring_results_are_computed_anew_when_asked_again() -> None:
    old = NEW.model_copy(update={"state": State.COMPLETED, "is_expiring": True, "outcome": Outcome()})

    again = joined(old, NEW, NOW_US)

    assert again is not None
    assert (again.state, again.outcome, again.is_expiring) == (State.PENDING, None, False)


def test_what_is_tried_later_loses_its_place_and_what_was_interrupted_keeps_it() -> None:
    at_work = begun(NEW.model_copy(update={"turn": 3}), NOW_US, "a1")
    assert at_work is not None
    later = delayed(at_work, "busy", NOW_US, LADDER, None)

    assert later is not None
    again = [lined_up(one, 9) for one in (later, at_work)]

    assert [(one.state, one.turn) for one in again if one] == [(State.PENDING, 9), (State.PENDING, 3)]
    assert lined_up(NEW, 9) is None


def test_who_joins_what_waits_brings_it_forward() -> None:
    waits = NEW.model_copy(update={"turn": 200, "asked_by": "alice"})

    sooner = joined(waits, NEW.model_copy(update={"turn": 4, "asked_by": "bob"}), NOW_US)

    assert sooner is not None
    assert (sooner.turn, sooner.asked_by) == (4, "bob")
    assert joined(sooner, waits, NOW_US) is None


def test_what_attempts_left_is_known_from_what_counts() -> None:
    first, second, old = "datalab/k/a1/k.fits", "datalab/k/a2/k.fits", "datalab/k/k.fits"
    keys = [first, second, old]
    one = begun(begun(NEW, NOW_US, "a1") or NEW, NOW_US, "a2")
    assert one is not None
    assert one.is_littered
    assert strays(one, keys) == [first, old]
    assert swept(one) is None, "its last attempt is under way"

    done = completed(one, outcome(second), NOW_US)
    assert done is not None
    assert strays(done, keys) == [first, old]
    assert strays(done.model_copy(update={"is_expiring": True}), keys) == keys
    assert not (swept(done) or done).is_littered

    gone = cancelled(one, NOW_US)
    assert gone is not None
    assert gone.is_littered
    assert strays(gone, keys) == strays(None, keys) == keys
    assert not (swept(gone) or gone).is_littered
    anew = joined(gone, NEW, NOW_US)
    assert anew is not None
    assert anew.has_strays, "the attempts before may have left something"


def test_what_succeeds_at_once_leaves_nothing() -> None:
    one = begun(NEW, NOW_US, "a1")
    assert one is not None

    done = completed(one, outcome("datalab/k/a1/k.fits"), NOW_US)

    assert done is not None
    assert not done.is_littered


def outcome(key: str) -> Outcome:
    stored = StoredFile(key=key, size_bytes=1, sha256="")
    return Outcome(files=(StoredOutput(basename="k", type="fits", files={"fits": stored}),))


def test_unwanted_results_go_after_a_while() -> None:
    done = NEW.model_copy(update={"state": State.COMPLETED})

    first = unwanted(done, 1000.0, timedelta(seconds=60))
    assert first is not None
    assert (first.due_s, first.is_expiring) == (1060, False)
    last = unwanted(first, 1061.0, timedelta(seconds=60))
    assert last is not None
    assert last.is_expiring
    assert told(NEW, 1.0) is None, "what goes on is not told of"


@pytest.mark.parametrize(
    ("state", "status", "error"),
    [
        (State.COMPLETED, "completed", None),
        (State.FAILED, "failed", "no"),
        (State.CANCELLED, "canceled", None),
    ],
)
def test_the_end_is_told_in_the_words_of_the_event(state: State, status: str, error: str | None) -> None:
    ended = operation(state=state, message="no" if state is State.FAILED else "", ended_us=5_000_000)

    event = completion(ended, 2_000_000, "file:///o/{}".format)

    assert (event.status, event.error, event.session_id) == (status, error, "4")
    assert event.started_at is not None
    assert (event.finished_at - event.started_at).total_seconds() == 3
    assert event.outputs is None


def test_an_operation_ends_once() -> None:
    done = NEW.model_copy(update={"state": State.COMPLETED, "progress": 1.0, "outcome": Outcome()})
    ended = settled(operation(), done)

    assert ended is not None
    assert settled(ended, done) is None
    assert given_up(ended, 0.0, NOW_US) is None
    assert settled(operation(), NEW) is None


def operation(**more: Any) -> AskedOperation:
    facts = {"number": 1, "session": 4, "owner": "alice", "name": "Median", "input_data": {}, "created_us": 1}
    return AskedOperation(**facts | more)
