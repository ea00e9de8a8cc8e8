"""Runs by themselves: calls are not lost, progress does not fall, and files stand where references were."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from datalab.clock import now_us
from datalab.domain.asked import AskedOperation, ShownOperation, State
from datalab.domain.recipes import Files, WrongReferenceError, files_in, filled
from datalab.domain.run_changes import (
    called,
    cancelled,
    followed,
    looked_at,
    noted,
    ready,
    reserved,
    retried,
    stopped,
    to_follow,
)
from datalab.domain.runs import Phase, Run, StepOfRecipe, StepOfRun

A, B = {"source": "upload", "basename": "a"}, {"source": "upload", "basename": "b"}
NOW_US = now_us()


def new_run(sets: int = 1) -> Run:
    """Return a run of two steps, the second working on what the first made."""
    steps = (
        StepOfRecipe(name="one", operation="Sum", needs=()),
        StepOfRecipe(name="two", operation="Sum", needs=(0,)),
    )
    return Run(
        number=1,
        owner="alice",
        session=2,
        recipe=3,
        name="recipe",
        steps=steps,
        sets=((StepOfRun(), StepOfRun()),) * sets,
        due_s=0.0,
        created_us=NOW_US,
    )


def shown(number: int, state: State, progress: float = 0.0) -> ShownOperation:
    """Return an operation as it is stored."""
    operation = AskedOperation(
        number=number,
        session=2,
        owner="alice",
        name="Sum",
        input_data={},
        created_us=NOW_US,
        state=state,
        progress=progress,
    )
    return ShownOperation(operation, state, progress, "", None)


def begun(run: Run) -> Run:
    """Return a run whose first step was asked for as operation 10."""
    return must(noted(must(reserved(run, {(0, 0): 10})), {(0, 0): ""}))


def must(run: Run | None) -> Run:
    """Return a run that was changed."""
    assert run is not None
    return run


def test_who_calls_while_somebody_looks_is_heard() -> None:
    run = new_run()

    quiet, called_meanwhile = looked_at(run, run, 99.0), looked_at(called(run, 5.0, 10), run, 99.0)

    assert (quiet.due_s, called_meanwhile.due_s) == (99.0, 5.0)
    assert (called_meanwhile.news, looked_at(called_meanwhile, called_meanwhile, 99.0).news) == ((10,), ())


def test_a_look_is_about_what_has_ended_or_about_all() -> None:
    run = must(reserved(new_run(sets=3), {(number, 0): 10 + number for number in range(3)}))
    asked = must(noted(run, {(number, 0): "" for number in range(2)}))

    assert to_follow(asked) == {10, 11, 12}
    assert to_follow(called(asked, 5.0, 11)) == {11, 12}
    assert to_follow(called(asked, 5.0, 99)) == {12}


def test_steps_are_ready_when_what_they_need_is_there() -> None:
    run = begun(new_run(sets=2))

    done = must(followed(run, {10: shown(10, State.COMPLETED)}, [10], NOW_US))

    assert ready(run) == [(1, 0)]
    assert ready(done) == [(0, 1), (1, 0)]
    assert done.progress == 0.25


def test_a_number_is_reserved_once_and_not_after_the_end() -> None:
    run = must(reserved(new_run(), {(0, 0): 10}))

    assert must(reserved(run, {(0, 0): 11})).at((0, 0)).operation == 10
    assert reserved(must(cancelled(run, NOW_US)), {(0, 1): 11}) is None


def test_what_was_reserved_and_is_there_was_asked_for() -> None:
    run = must(reserved(new_run(), {(0, 0): 10}))

    assert followed(run, {}, [10], NOW_US) is None
    assert must(followed(run, {10: shown(10, State.PENDING)}, [10], NOW_US)).at((0, 0)).phase is Phase.ASKED


def test_progress_does_not_fall_when_a_run_goes_on_or_its_operation_begins_anew() -> None:
    half = must(followed(begun(new_run()), {10: shown(10, State.IN_PROGRESS, 0.5)}, [10], NOW_US))
    failed = must(followed(half, {10: shown(10, State.FAILED, 0.5)}, [10], NOW_US))
    again = must(retried(failed, NOW_US))

    assert (half.progress, failed.progress, again.progress) == (0.25, 0.25, 0.25)
    assert failed.state is State.FAILED
    assert [step.phase for _, step in again.places()] == [Phase.AGAIN, Phase.WAITING]


def test_what_ended_before_it_could_be_stopped_stays_done() -> None:
    run = must(cancelled(begun(new_run()), NOW_US))

    ended = must(stopped(run, {10: shown(10, State.COMPLETED, 1.0)}))

    assert [step.phase for _, step in ended.places()] == [Phase.COMPLETED, Phase.CANCELLED]
    assert must(retried(ended, NOW_US)).at((0, 0)).phase is Phase.COMPLETED


def test_files_take_the_place_of_references_in_their_order() -> None:
    files = Files(["one"], [A, B], {0: [B]})
    color = {"color": {"r": 1}}
    data: dict[str, Any] = {
        "channels": [{"from": "inputs", "index": 1, **color}, {"from": "one", **color}],
        "all": {"from": "inputs"},
        "first": {"from": "inputs", "index": 0},
        "threshold": 3,
    }

    assert filled(data, files) == {
        "channels": [B | color, B | color],
        "all": [A, B],
        "first": A,
        "threshold": 3,
    }


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"from": "one"}, 'wants files of step "one", and there are none'),
        ({"from": "inputs", "index": 2}, "wants file 2 of the inputs, counted from 0, and there are 2"),
    ],
)
def test_files_that_are_not_there_are_told(reference: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongReferenceError, match=message):
        filled({"input_files": [reference]}, Files(["one"], [A, B], {0: []}))


def test_pictures_that_only_explain_are_no_files_to_work_on() -> None:
    stored = [
        {"type": "fits", "basename": "k-1", "files": {"fits": {}, "small": {}}},
        {"type": "image", "basename": "k-2", "files": {"diagnostic": {}}},
        {"type": "image", "basename": "k-3", "files": {"tif": {}, "large": {}}},
    ]

    assert [one["basename"] for one in files_in({"files": stored})] == ["k-1", "k-3"]


def test_an_operation_that_is_shown_as_done_is_done_when_it_is_stored_so() -> None:
    running = shown(10, State.IN_PROGRESS, 0.9)
    live = replace(running, state=State.COMPLETED, progress=1.0)

    assert must(followed(begun(new_run()), {10: live}, [10], NOW_US)).at((0, 0)).phase is Phase.ASKED
