"""Recipes: written, listed, read, changed, deleted; found wrong where they cannot work; nobody else's."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.datalab.recipes.calling import RECIPES, Json, from_step, step, written

FIELDS = ["id", "user", "name", "description", "steps", "created", "modified"]


def test_a_recipe_has_the_documented_fields(me: httpx.Client) -> None:
    body = {
        "name": " My recipe ",
        "description": "Adds up.",
        "steps": [step("Sum"), step("Sum", "2", from_step(0))],
    }

    answer = me.post(RECIPES, json=body)

    recipe = answer.json()
    assert answer.status_code == 201
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert list(recipe) == FIELDS
    assert (recipe["name"], recipe["description"]) == ("My recipe", "Adds up.")
    assert recipe["steps"] == [
        {"name": "Sum", "operation": "Sum", "input_data": {"input_files": [{"from": "inputs"}]}},
        {"name": "2", "operation": "Sum", "input_data": {"input_files": [{"from": 0}]}},
    ]
    assert me.get(f"{RECIPES}{recipe['id']}").json() == me.get(f"{RECIPES}{recipe['id']}/").json() == recipe


def test_recipes_are_listed_last_changed_first_in_pages_and_by_name(me: httpx.Client) -> None:
    numbers = [written(me, step("Sum"), name=name)["id"] for name in ("Flat", "flat field", "Dark")]
    me.patch(f"{RECIPES}{numbers[0]}/", json={"description": "newest"})

    page = me.get(RECIPES, params={"limit": 2}).json()
    rest = me.get(page["next"]).json()

    assert [one["id"] for one in page["results"] + rest["results"]] == [numbers[0], numbers[2], numbers[1]]
    assert (page["count"], page["previous"], rest["next"]) == (3, None, None)
    assert [one["name"] for one in named(me, name="FLAT")] == ["Flat", "flat field"]
    assert [one["name"] for one in named(me, name_exact="flat field")] == ["flat field"]
    assert named(me, name_exact="FLAT") == []


def named(client: httpx.Client, **query: str) -> list[Json]:
    return list(client.get(RECIPES, params=query).json()["results"])


def test_what_is_given_is_changed_and_the_rest_stays(me: httpx.Client) -> None:
    recipe = written(me, step("Sum"), name="old")
    path = f"{RECIPES}{recipe['id']}/"

    renamed = me.patch(path, json={"name": "new"}).json()
    replaced = me.put(path, json={"name": "newer", "steps": [step("Sum", "only", take_s=1)]}).json()

    assert (renamed["name"], renamed["steps"]) == ("new", recipe["steps"])
    assert (replaced["name"], replaced["steps"][0]["name"]) == ("newer", "only")
    assert replaced["modified"] > renamed["modified"] > recipe["modified"]
    assert replaced["created"] == recipe["created"]


def test_a_whole_recipe_is_put_and_not_a_part(me: httpx.Client) -> None:
    path = f"{RECIPES}{written(me, step('Sum'))['id']}/"

    assert me.put(path, json={"name": "x"}).json()["steps"] == ["This field is required."]
    assert me.put(path, json={"steps": [step("Sum")]}).json()["name"] == ["This field is required."]


def test_a_deleted_recipe_is_gone(me: httpx.Client) -> None:
    path = f"{RECIPES}{written(me, step('Sum'))['id']}"

    assert me.delete(path).status_code == 204
    assert me.get(path).status_code == me.delete(path).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_somebody_elses_recipe_is_not_there(me: httpx.Client, other: httpx.Client, method: str) -> None:
    recipe = written(other, step("Sum"))
    body = {"name": "mine", "steps": [step("Sum")]}

    answer = me.request(method, f"{RECIPES}{recipe['id']}/", json=None if method == "GET" else body)

    assert answer.status_code == 404
    assert answer.json()["error"] == "No Recipe matches the given query."
    assert other.get(f"{RECIPES}{recipe['id']}/").json() == recipe
    assert me.get(RECIPES).json()["count"] == 0


def test_nobody_asks_without_a_token(me: httpx.Client) -> None:
    recipe = written(me, step("Sum"))["id"]
    calls = [("GET", ""), ("POST", ""), ("GET", f"{recipe}/"), ("POST", f"{recipe}/apply/"), ("GET", "runs/")]

    answers = [httpx.request(method, f"{me.base_url}{RECIPES}{rest}") for method, rest in calls]

    assert [answer.status_code for answer in answers] == [401] * len(calls)


@pytest.mark.parametrize(
    ("steps", "field", "message"),
    [
        (None, "steps", "This field may not be null."),
        ("Sum", "steps", 'Expected a list of items but got type "str".'),
        ([], "steps", "A recipe has at least one step."),
        ([step("Sum", str(number)) for number in range(51)], "steps", "no more than 50 elements"),
        ([step("Sum", junk="x" * (257 << 10))], "steps", "at most 262144 bytes"),
        (["Sum"], "steps.0", 'Expected a dictionary of items but got type "str".'),
        ([{}], "steps.0.operation", "This field is required."),
        ([step("NoOp")], "steps.0.operation", '"NoOp" is not a valid choice.'),
        ([step("Sum") | {"name": []}], "steps.0.name", "Not a valid string."),
        ([step("Sum", "inputs")], "steps.0.name", '"inputs" is taken'),
        ([step("Sum"), step("Sum")], "steps.1.name", '"Sum" is taken'),
        ([{"operation": "Sum", "input_data": []}], "steps.0.input_data", "Expected a dictionary"),
        ([{"operation": "Sum"}], "steps.0.input_data.input_files", "This field is required."),
        ([step("Sum", take_s="long")], "steps.0.input_data.take_s", "valid number"),
        ([step("Sum"), step("Trouble", how="well")], "steps.1.input_data.how", "'refuse'"),
        (
            [step("Sum", files=[{"source": "upload"}])],
            "steps.0.input_data.input_files.0.basename",
            "required",
        ),
        ([step("Sum", files=from_step("Sum"))], "steps.0.input_data.input_files.0", 'not "Sum"'),
        ([step("Sum", files=from_step(0))], "steps.0.input_data.input_files.0", 'not "0"'),
        (
            [step("Sum", "a", from_step("b")), step("Sum", "b")],
            "steps.0.input_data.input_files.0",
            "an earlier step",
        ),
        (
            [step("Sum"), step("Sum", "b", [{"basename": "x"}, from_step("c")])],
            "steps.1.input_data.input_files.1",
            "an earlier step",
        ),
        ([step("Sum", files={"from": None})], "steps.0.input_data.input_files.0", "`from` is"),
        ([step("Sum", files=from_step(True))], "steps.0.input_data.input_files.0", "`from` is"),
        (
            [step("Sum", files={"from": "inputs", "index": -1})],
            "steps.0.input_data.input_files.0",
            "counted from 0",
        ),
        (
            [step("Sum", files={"from": "inputs", "index": "first"})],
            "steps.0.input_data.input_files.0",
            "counted from 0",
        ),
        (
            [step("Sum", files={"from": "inputs", "color": "x" * 2048})],
            "steps.0.input_data.input_files.0",
            "at most 2048 bytes",
        ),
        ([step("Sum", files=[{"from": "inputs"}] * 1001)], "steps.0.input_data", "more than 1000 files"),
    ],
)
def test_steps_that_cannot_work_are_told_by_their_path(
    me: httpx.Client, steps: Any, field: str, message: str
) -> None:
    answer = me.post(RECIPES, json={"name": "wrong", "steps": steps})

    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"error", field}
    assert message in answer.json()[field][0]
    assert message in answer.json()["error"]
    assert me.get(RECIPES).json()["count"] == 0


def test_a_far_index_costs_nothing(me: httpx.Client) -> None:
    far = {"from": "inputs", "index": 10**15}

    assert written(me, step("Sum", files=far))["steps"][0]["input_data"]["input_files"] == [far]


def test_all_wrong_steps_are_told_together(me: httpx.Client) -> None:
    steps = [
        step("Sum", "a", take_s="x"),
        step("NoOp", "b"),
        step("Sum", "c", [from_step("a"), from_step("b")]),
    ]

    answer = me.post(RECIPES, json={"name": "wrong", "steps": steps})

    assert set(answer.json()) == {"error", "steps.0.input_data.take_s", "steps.1.operation"}


@pytest.mark.parametrize(
    "body", [{}, [], {"name": "x"}, {"name": "", "steps": []}, {"name": "x", "description": 5 * [1]}]
)
def test_bad_bodies_are_told(me: httpx.Client, body: Any) -> None:
    answer = me.post(RECIPES, json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]
