"""Recipes are applied: to one set of files and to several, and what becomes of their steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.datalab.api.calling import SESSIONS, made, operations, uploaded
from tests.datalab.recipes.calling import (
    RECIPES,
    RUNS,
    Json,
    applied,
    ended,
    from_step,
    statuses,
    step,
    written,
)
from tests.support.datalab_operations import REGISTRY
from tests.support.lab import RunningLab, running_lab

RUN_FIELDS = ["id", "recipe", "name", "session", "user", "status", "message", "progress", "created", "ended"]
STEP_FIELDS = ["set", "step", "name", "operation_name", "operation", "status", "message", "progress"]


def trouble(name: str, folder: Path, files: Any, times: int = 1_000) -> Json:
    """Return a step that refuses to work so many times."""
    return step("Trouble", name, files, how="refuse", marks=str(folder), times=times)


def test_steps_work_on_what_earlier_ones_made(me: httpx.Client) -> None:
    session, files = made(me)["id"], [uploaded(me, "a.fits", 1), uploaded(me, "b.fits", 2)]
    recipe = written(
        me,
        step("Sum", "first", outputs=3),
        step("Sum", "picked", [from_step("first", index=1), from_step(0, index=0)]),
        step("Sum", "all", [from_step("picked"), from_step("first"), {"from": "inputs", "index": 1}]),
    )

    begun = applied(me, recipe, session, inputs=files)
    run = ended(me, begun)

    assert (run["status"], run["progress"], run["message"]) == ("COMPLETED", 1.0, "")
    assert statuses(run) == ["COMPLETED"] * 3
    made_of = [
        me.get(f"{operations(session)}{one['operation']}/").json()["input_data"]["input_files"]
        for one in run["steps"]
    ]
    assert made_of[0] == files
    assert [file["basename"][-2:] for file in made_of[1]] == ["-2", "-1"]
    assert [file["source"] for file in made_of[2]] == ["datalab"] * 4 + ["upload"]
    assert begun["steps"][0]["operation"] == run["steps"][0]["operation"]
    assert me.get(operations(session)).json()["count"] == 3


def test_a_run_has_the_documented_fields(me: httpx.Client) -> None:
    session, recipe = made(me)["id"], written(me, step("Sum"), name="adds up")

    run = applied(me, recipe, session, inputs=[uploaded(me)])

    assert list(run) == [*RUN_FIELDS, "steps"]
    assert list(run["steps"][0]) == STEP_FIELDS
    assert (run["recipe"], run["name"], run["session"]) == (recipe["id"], "adds up", session)
    assert run["steps"][0]["operation"] == me.get(operations(session)).json()["results"][0]["id"]
    assert ended(me, run)["ended"] > run["created"]


def test_a_recipe_is_applied_to_each_of_several_sets(me: httpx.Client) -> None:
    session = made(me)["id"]
    recipe = written(me, step("Sum", "one", outputs=2), step("Sum", "two", from_step("one")))
    sets = [[uploaded(me, f"{number}.fits", number)] * (1 + number) for number in range(3)]

    run = ended(me, applied(me, recipe, session, sets=sets))

    assert statuses(run) == ["COMPLETED"] * 6
    assert [(one["set"], one["step"]) for one in run["steps"]] == [(s, p) for s in range(3) for p in range(2)]
    assert len({one["operation"] for one in run["steps"]}) == 6


def test_what_clients_nest_in_files_is_not_repeated_in_operations(me: httpx.Client) -> None:
    session, recipe, file = made(me)["id"], written(me, step("Sum")), uploaded(me)
    nested = {**file, "filter": "rp", "operationInputData": {"input_files": [file] * 100}}

    ended(me, applied(me, recipe, session, inputs=[nested]))

    (operation,) = me.get(operations(session)).json()["results"]
    assert operation["input_data"]["input_files"] == [{**file, "filter": "rp"}]


def test_what_was_computed_before_is_there_at_once(me: httpx.Client) -> None:
    session, recipe = made(me)["id"], written(me, step("Sum"), step("Sum", "again", from_step("Sum")))
    files = [uploaded(me, "same.fits", 77)]
    first = ended(me, applied(me, recipe, session, inputs=files))

    second = applied(me, recipe, session, inputs=files)

    assert second["status"] == "COMPLETED"
    assert {one["operation"] for one in second["steps"]}.isdisjoint(
        one["operation"] for one in first["steps"]
    )


def test_a_failed_step_fails_what_hangs_on_it_and_the_rest_goes_on(me: httpx.Client, tmp_path: Path) -> None:
    session = made(me)["id"]
    recipe = written(
        me,
        step("Sum", "good"),
        trouble("bad", tmp_path, from_step("good")),
        step("Sum", "hangs on it", from_step("bad")),
        step("Sum", "and on that", [from_step("hangs on it"), from_step("good")]),
        step("Sum", "besides", from_step("good")),
    )

    run = ended(me, applied(me, recipe, session, inputs=[uploaded(me)]))

    assert statuses(run) == ["COMPLETED", "FAILED", "FAILED", "FAILED", "COMPLETED"]
    assert [one["message"] for one in run["steps"][1:4]] == [
        "These frames have different filters.",
        'Not begun: step "bad" failed.',
        'Not begun: step "bad" failed.',
    ]
    assert [one["operation"] is None for one in run["steps"]] == [False, False, True, True, False]
    assert run["status"] == "FAILED"
    assert run["message"] == 'Step "bad" failed: These frames have different filters.'
    assert run["progress"] < 1


def test_one_bad_set_does_not_spoil_the_others(me: httpx.Client, tmp_path: Path) -> None:
    session = made(me)["id"]
    recipe = written(me, step("Sum", "sum"), trouble("once", tmp_path, from_step("sum"), times=1))
    sets = [[uploaded(me, f"{number}.fits", number)] for number in range(3)]

    run = ended(me, applied(me, recipe, session, sets=sets))

    assert sorted(statuses(run)) == ["COMPLETED"] * 5 + ["FAILED"]
    assert "of set " in run["message"]


def test_a_retry_goes_on_from_what_failed(me: httpx.Client, tmp_path: Path) -> None:
    session = made(me)["id"]
    recipe = written(
        me,
        step("Sum", "good"),
        trouble("once", tmp_path, from_step("good"), times=1),
        step("Sum", "last", from_step("good"), outputs=2),
    )
    failed = ended(me, applied(me, recipe, session, inputs=[uploaded(me)]))

    begun = me.post(f"{RUNS}{failed['id']}/retry/").json()
    run = ended(me, begun)

    assert (failed["status"], run["status"], run["message"]) == ("FAILED", "COMPLETED", "")
    assert begun["progress"] >= failed["progress"]
    assert [one["operation"] for one in run["steps"]] == [one["operation"] for one in failed["steps"]]
    assert len(list(tmp_path.iterdir())) == 2
    assert me.post(f"{RUNS}{failed['id']}/retry").json() == run


def test_a_retry_makes_anew_what_was_deleted_and_begins_what_hung_on_it(me: httpx.Client) -> None:
    session = made(me)["id"]
    recipe = written(me, step("Sum", "slow", take_s=0.7), step("Sum", "next", from_step("slow")))
    run = applied(me, recipe, session, inputs=[uploaded(me, "deleted.fits", 10)])
    deleted = run["steps"][0]["operation"]
    me.delete(f"{operations(session)}{deleted}/")
    failed = ended(me, run)

    again = ended(me, me.post(f"{RUNS}{run['id']}/retry/").json())

    assert [one["message"] for one in failed["steps"]] == [
        "Its operation was deleted.",
        'Not begun: step "slow" failed.',
    ]
    assert again["status"] == "COMPLETED"
    assert deleted not in [one["operation"] for one in again["steps"]]


def test_cancelling_stops_what_goes_on_and_what_was_to_come(me: httpx.Client) -> None:
    session = made(me)["id"]
    recipe = written(me, step("Sum", "slow", take_s=60), step("Sum", "next", from_step("slow")))
    run = applied(me, recipe, session, inputs=[uploaded(me, "slow.fits", 3)])

    cancelled = me.post(f"{RUNS}{run['id']}/cancel/").json()

    assert (cancelled["status"], cancelled["message"]) == ("FAILED", "Cancelled.")
    assert [one["message"] for one in ended(me, cancelled)["steps"]] == ["Cancelled."] * 2
    assert me.get(operations(session)).json()["results"][0]["status"] == "FAILED"
    assert me.get(operations(session)).json()["count"] == 1
    assert me.post(f"{RUNS}{run['id']}/cancel").json()["status"] == "FAILED"


def test_a_cancelled_run_can_be_retried(me: httpx.Client) -> None:
    session = made(me)["id"]
    recipe = written(me, step("Sum", "slow", take_s=0.8), step("Sum", "next", from_step("slow")))
    run = applied(me, recipe, session, inputs=[uploaded(me, "slow.fits", 4)])
    me.post(f"{RUNS}{run['id']}/cancel/")

    again = ended(me, me.post(f"{RUNS}{run['id']}/retry/").json())

    assert again["status"] == "COMPLETED"
    assert me.get(operations(session)).json()["count"] == 2


def test_cancelling_an_operation_cancels_what_hangs_on_it(me: httpx.Client) -> None:
    session = made(me)["id"]
    recipe = written(me, step("Sum", "slow", take_s=60), step("Sum", "next", from_step("slow")))
    run = applied(me, recipe, session, inputs=[uploaded(me, "slow.fits", 5)])

    me.post(f"{operations(session)}{run['steps'][0]['operation']}/cancel/")

    shown = ended(me, run)
    assert [one["message"] for one in shown["steps"]] == [
        "Cancelled.",
        'Not begun: step "slow" was cancelled.',
    ]
    assert shown["message"] == 'Step "slow" was cancelled.'


def test_a_deleted_recipe_leaves_its_runs(me: httpx.Client) -> None:
    session, recipe = (
        made(me)["id"],
        written(me, step("Sum", "a", take_s=0.3), step("Sum", "b", from_step(0))),
    )
    run = applied(me, recipe, session, inputs=[uploaded(me, "left.fits", 7)])

    me.delete(f"{RECIPES}{recipe['id']}/")

    assert ended(me, run)["status"] == "COMPLETED"


def test_a_deleted_session_ends_its_runs(me: httpx.Client, lab: RunningLab) -> None:
    session, recipe = made(me)["id"], written(me, step("Sum", "a", take_s=60), step("Sum", "b", from_step(0)))
    run = applied(me, recipe, session, inputs=[uploaded(me, "gone.fits", 8)])

    me.delete(f"{SESSIONS}{session}/")

    until(lambda: me.get(f"{RUNS}{run['id']}/").status_code == 404)
    until(lambda: lab.do(lab.operations.count({"session": session})) == 0)
    assert me.get(RUNS).json()["count"] == 0


def test_a_deleted_run_is_stopped_and_its_operations_stay(me: httpx.Client) -> None:
    session, recipe = made(me)["id"], written(me, step("Sum", "a", take_s=60))
    run = applied(me, recipe, session, inputs=[uploaded(me, "stay.fits", 9)])

    assert me.delete(f"{RUNS}{run['id']}/").status_code == 204

    assert me.get(f"{RUNS}{run['id']}/").status_code == 404
    assert [one["status"] for one in me.get(operations(session)).json()["results"]] == ["FAILED"]


def test_runs_are_listed_newest_first_by_session_and_by_recipe(me: httpx.Client) -> None:
    first, second = made(me)["id"], made(me)["id"]
    recipe, another = written(me, step("Sum")), written(me, step("Sum"))
    files = [uploaded(me)]
    runs = [
        applied(me, which, session, inputs=files)["id"]
        for which, session in ((recipe, first), (another, first), (recipe, second))
    ]

    def listed(**query: Any) -> list[int]:
        return [one["id"] for one in me.get(RUNS, params=query).json()["results"]]

    page = me.get(RUNS, params={"limit": 2}).json()
    assert listed() == runs[::-1]
    assert listed(session=first) == [runs[1], runs[0]]
    assert listed(recipe=recipe["id"]) == [runs[2], runs[0]]
    assert listed(recipe=recipe["id"], session=first) == [runs[0]]
    assert (page["count"], list(page["results"][0])) == (3, RUN_FIELDS)
    assert [one["id"] for one in me.get(page["next"]).json()["results"]] == runs[:1]


@pytest.mark.parametrize(
    ("files", "field", "message"),
    [
        ({}, "inputs", "either"),
        ({"inputs": [], "sets": []}, "inputs", "either"),
        ({"inputs": {}}, "inputs", "Expected a list"),
        ({"inputs": ["x"]}, "inputs.0", ""),
        ({"inputs": [{"source": "upload"}]}, "inputs.0.basename", ""),
        ({"inputs": []}, "inputs", "there are none"),
        ({"sets": []}, "sets", "1 to 200"),
        ({"sets": [[]]}, "sets.0", "there are none"),
        ({"sets": [[]] * 201}, "sets", "1 to 200"),
        ({"sets": ["x"]}, "sets.0", "Expected a list"),
        ({"inputs": [{"basename": "x"}] * 2001}, "inputs", "at most 2000"),
        ({"inputs": [{"basename": "x", "about": "y" * 9000}]}, "inputs.0", "at most 8192 bytes"),
    ],
)
def test_files_that_do_not_suit_are_told(me: httpx.Client, files: Json, field: str, message: str) -> None:
    session, recipe = made(me)["id"], written(me, step("Sum"))

    answer = me.post(f"{RECIPES}{recipe['id']}/apply/", json={"session": session, **files})

    assert answer.status_code == 400
    assert message in answer.json()[field][0]
    assert me.get(RUNS).json()["count"] == me.get(operations(session)).json()["count"] == 0


def test_a_set_that_is_too_small_for_a_later_step_is_told_at_once(me: httpx.Client) -> None:
    session = made(me)["id"]
    recipe = written(me, step("Sum"), step("Sum", "second", {"from": "inputs", "index": 1}))
    one, two = uploaded(me, "a.fits", 1), uploaded(me, "b.fits", 2)

    answer = me.post(f"{RECIPES}{recipe['id']}/apply", json={"session": session, "sets": [[one, two], [one]]})

    assert answer.status_code == 400
    assert answer.json()["sets.1"] == [
        'Step "second": input_data: wants file 1 of the inputs, counted from 0, and there is 1'
    ]


def test_a_file_that_is_not_there_is_told_and_nothing_is_made(me: httpx.Client, other: httpx.Client) -> None:
    session, theirs = made(me)["id"], uploaded(other, "theirs.fits")
    recipe = written(me, step("Sum"), step("Sum", "b", [{"source": "upload", "basename": "constant.fits"}]))

    answers = [
        me.post(f"{RECIPES}{recipe['id']}/apply/", json={"session": session, "inputs": inputs})
        for inputs in ([theirs], [uploaded(me)])
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert [
        name in answer.json()["error"] for answer, name in zip(answers, ("theirs", "constant"), strict=True)
    ]
    assert me.get(RUNS).json()["count"] == me.get(operations(session)).json()["count"] == 0


@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("POST", "cancel/"), ("POST", "retry/"), ("DELETE", "")]
)
def test_somebody_elses_run_is_not_there(
    me: httpx.Client, other: httpx.Client, method: str, rest: str
) -> None:
    recipe = written(other, step("Sum", take_s=0.1))
    run = applied(other, recipe, made(other)["id"], inputs=[uploaded(other)])

    answer = me.request(method, f"{RUNS}{run['id']}/{rest}")

    assert answer.status_code == 404
    assert me.get(RUNS).json()["count"] == 0
    assert ended(other, run)["status"] == "COMPLETED"


def test_nothing_is_applied_in_somebody_elses_session_or_of_their_recipe(
    me: httpx.Client, other: httpx.Client
) -> None:
    body = {"session": made(other)["id"], "inputs": [uploaded(me)]}
    mine, theirs = written(me, step("Sum"))["id"], written(other, step("Sum"))["id"]

    answers = [me.post(f"{RECIPES}{recipe}/apply/", json=body) for recipe in (mine, theirs)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert other.get(operations(body["session"])).json()["count"] == 0


def test_runs_wait_for_room_and_leave_some(tmp_path: Path) -> None:
    with running_lab(tmp_path, known=REGISTRY, workers=1, max_unfinished=4, max_operations=8) as small:
        me = small.user()
        session, recipe = made(me)["id"], written(me, step("Sum"))
        sets = [[uploaded(me, f"{number}.fits", number)] for number in range(6)]

        begun = applied(me, recipe, session, sets=sets)
        run = ended(me, begun)
        refused = me.post(f"{RECIPES}{recipe['id']}/apply/", json={"session": session, "sets": sets})

    assert sum(one["operation"] is not None for one in begun["steps"]) == 2
    assert run["status"] == "COMPLETED"
    assert (refused.status_code, "at most 8 operations" in refused.json()["error"]) == (429, True)


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    ends_at_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < ends_at_s
        time.sleep(0.05)
