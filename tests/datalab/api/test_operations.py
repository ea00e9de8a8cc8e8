"""Operations: asked for, read, waited for, stopped, tried again, deleted, and nobody else's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.datalab.api.calling import SESSIONS, asked, made, operations, uploaded
from tests.support.lab import RunningLab, running_lab

FIELDS = ["id", "name", "status", "message", "operation_progress", "output", "input_data", "created"]
STATUSES = {"PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"}


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """Run datalab with somebody who computes."""
    with running_lab(tmp_path_factory.mktemp("working"), workers=1) as running:
        yield running


def test_an_operation_has_the_documented_fields(me: httpx.Client) -> None:
    session = made(me)["id"]

    operation = asked(me, session, threshold=3.5, unknown={"kept": True})

    assert list(operation) == FIELDS
    assert isinstance(operation["id"], int)
    assert (operation["name"], operation["status"], operation["message"]) == ("Median", "PENDING", "")
    assert (operation["operation_progress"], operation["output"]) == (0.0, None)
    assert operation["input_data"]["threshold"] == 3.5
    assert operation["input_data"]["unknown"] == {"kept": True}
    assert me.get(f"{SESSIONS}{session}/").json()["operations"] == [operation]


def test_operations_are_listed_oldest_first_in_pages(me: httpx.Client) -> None:
    session = made(me)["id"]
    numbers = [asked(me, session, threshold=number)["id"] for number in range(3)]

    page = me.get(operations(session), params={"limit": 2}).json()
    rest = me.get(page["next"]).json()

    assert [one["id"] for one in page["results"] + rest["results"]] == numbers
    assert (page["count"], page["previous"], rest["next"]) == (3, None, None)
    assert me.get(rest["previous"]).json() == page


def test_an_unknown_operation_is_refused_by_name(me: httpx.Client) -> None:
    answer = me.post(operations(made(me)["id"]), json={"name": "NoOp", "input_data": {}})

    assert answer.status_code == 400
    assert answer.json()["name"] == ['"NoOp" is not a valid choice.']


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"name": "Median"}, "input_data", "This field is required."),
        (
            {"name": "Median", "input_data": []},
            "input_data",
            'Expected a dictionary of items but got type "list".',
        ),
        (
            {"name": "Median", "input_data": "x"},
            "input_data",
            'Expected a dictionary of items but got type "str".',
        ),
        ({"name": "Median", "input_data": None}, "input_data", "This field may not be null."),
        ({"name": "Median", "input_data": {}}, "input_data", "input_files: This field is required."),
        ({"input_data": {}}, "name", "This field is required."),
        ({"name": {"a": 1}, "input_data": {}}, "name", "Not a valid string."),
    ],
)
def test_wrong_fields_are_told(me: httpx.Client, body: Any, field: str, message: str) -> None:
    session = made(me)["id"]

    answer = me.post(operations(session), json=body)

    assert answer.status_code == 400
    assert answer.json()[field] == [message]
    assert answer.json()["error"].endswith(message)
    assert me.get(operations(session)).json()["count"] == 0


@pytest.mark.parametrize(
    ("inputs", "where"),
    [
        ({"input_files": []}, "input_files"),
        ({"input_files": [{"basename": "x"}] * 1000}, "input_files"),
        ({"input_files": {"basename": "x"}}, "input_files"),
        ({"input_files": [{"source": "upload"}]}, "input_files.0.basename"),
        ({"input_files": [{"basename": "x"}], "threshold": "much"}, "threshold"),
        ({"input_files": [{"basename": "x"}], "threshold": -1}, "threshold"),
    ],
)
def test_inputs_that_do_not_suit_the_operation_are_told(me: httpx.Client, inputs: Any, where: str) -> None:
    answer = me.post(operations(made(me)["id"]), json={"name": "Median", "input_data": inputs})

    assert answer.status_code == 400
    assert answer.json()["input_data"][0].startswith(where)


def test_a_file_that_is_not_there_is_told_at_once_and_nothing_is_made(me: httpx.Client) -> None:
    session = made(me)["id"]
    inputs = {"input_files": [{"source": "upload", "basename": "nowhere.fits"}]}
    began_s = time.monotonic()

    answer = me.post(operations(session), json={"name": "Median", "input_data": inputs})

    assert answer.status_code == 400
    assert "nowhere.fits" in answer.json()["error"]
    assert time.monotonic() - began_s < 5
    assert me.get(operations(session)).json()["count"] == 0


def test_somebody_elses_upload_is_not_there(me: httpx.Client, other: httpx.Client) -> None:
    theirs = uploaded(other, "theirs.fits")

    answer = me.post(
        operations(made(me)["id"]), json={"name": "Median", "input_data": {"input_files": [theirs]}}
    )

    assert answer.status_code == 400


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_operation_is_not_renamed(me: httpx.Client, method: str) -> None:
    session = made(me)["id"]
    operation = asked(me, session)
    path = f"{operations(session)}{operation['id']}/"

    refused = me.request(method, path, json={"name": "Stacking", "input_data": operation["input_data"]})
    same = me.request(method, path, json={"name": "Median", "input_data": operation["input_data"]})

    assert refused.status_code == 400
    assert "cannot be changed" in refused.json()["name"][0]
    assert same.json()["name"] == me.get(path).json()["name"] == "Median"


def test_an_operation_is_deleted(me: httpx.Client) -> None:
    session = made(me)["id"]
    first, second = asked(me, session), asked(me, session, threshold=1)

    assert me.delete(f"{operations(session)}{first['id']}").status_code == 204
    assert me.get(f"{operations(session)}{first['id']}").status_code == 404
    assert me.get(operations(session)).json()["results"] == [second]


def test_several_are_deleted_at_once_and_strangers_ids_passed_over(me: httpx.Client) -> None:
    session, another = made(me)["id"], made(me)["id"]
    ids = [asked(me, session, threshold=number)["id"] for number in range(3)]
    stays = asked(me, another)["id"]

    answer = me.post(
        f"{operations(session)}bulk_delete/", json={"ids": [*ids[:2], stays, 10**12, str(ids[0])]}
    )

    assert answer.json() == {"deleted": 2}
    assert [one["id"] for one in me.get(operations(session)).json()["results"]] == ids[2:]
    assert me.get(operations(another)).json()["count"] == 1


@pytest.mark.parametrize(
    "body", [{}, {"ids": None}, {"ids": 1}, {"ids": ["x"]}, {"ids": [True]}, {"ids": [1.5]}, []]
)
def test_bad_ids_are_told(me: httpx.Client, body: Any) -> None:
    answer = me.post(f"{operations(made(me)['id'])}bulk_delete/", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_too_many_ids_are_refused(me: httpx.Client) -> None:
    answer = me.post(f"{operations(made(me)['id'])}bulk_delete", json={"ids": list(range(1001))})

    assert answer.json()["ids"] == ["Ensure this field has no more than 1000 elements."]


def test_a_session_that_is_not_there_has_no_operations(me: httpx.Client) -> None:
    body = {"name": "Median", "input_data": {"input_files": [uploaded(me)]}}

    assert me.post(operations(10**9), json=body).status_code == 404
    assert me.get(operations(10**9)).status_code == 404


def test_an_operation_of_another_session_is_not_in_this_one(me: httpx.Client) -> None:
    session, another = made(me)["id"], made(me)["id"]
    operation = asked(me, another)["id"]

    assert me.get(f"{operations(session)}{operation}/").status_code == 404
    assert me.delete(f"{operations(session)}{operation}/").status_code == 404


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", "{operation}/"),
        ("PATCH", "{operation}/"),
        ("PUT", "{operation}/"),
        ("DELETE", "{operation}/"),
        ("GET", "{operation}/wait/"),
        ("POST", "{operation}/cancel/"),
        ("POST", "{operation}/retry/"),
        ("POST", "bulk_delete/"),
        ("POST", ""),
        ("GET", ""),
    ],
)
def test_nothing_of_somebody_elses_session_can_be_read_or_done(
    me: httpx.Client, other: httpx.Client, method: str, rest: str
) -> None:
    session = made(other)["id"]
    operation = asked(other, session)
    path = operations(session) + rest.format(operation=operation["id"])
    body = {"name": "Median", "input_data": {"input_files": [uploaded(me)]}, "ids": [operation["id"]]}

    answer = me.request(method, path, json=body if method != "GET" else None)

    assert answer.status_code == 404
    assert answer.json()["error"] == "No DataSession matches the given query."
    assert other.get(operations(session)).json()["results"] == [operation]


def test_cancelling_is_shown_as_failure_with_a_message(me: httpx.Client) -> None:
    session = made(me)["id"]
    operation = asked(me, session)["id"]

    cancelled = me.post(f"{operations(session)}{operation}/cancel/").json()

    assert cancelled["status"] == "FAILED"
    assert "ancelled" in cancelled["message"]
    assert me.get(f"{operations(session)}{operation}/").json() == cancelled
    assert me.post(f"{operations(session)}{operation}/cancel").json() == cancelled


def test_a_cancelled_operation_is_tried_again(me: httpx.Client) -> None:
    session = made(me)["id"]
    operation = asked(me, session)["id"]
    me.post(f"{operations(session)}{operation}/cancel/")

    again = me.post(f"{operations(session)}{operation}/retry/").json()

    assert again["status"] == "PENDING"
    assert again["id"] == operation


def test_waiting_ends_at_the_timeout(me: httpx.Client) -> None:
    session = made(me)["id"]
    operation = asked(me, session)["id"]
    began_s = time.monotonic()

    answer = me.get(f"{operations(session)}{operation}/wait/", params={"timeout": 0.5})

    assert answer.json()["status"] == "PENDING"
    assert time.monotonic() - began_s >= 0.5


@pytest.mark.parametrize("timeout", ["x", "-1", "1e9", "nan", "inf"])
def test_a_bad_timeout_is_told(me: httpx.Client, timeout: str) -> None:
    session = made(me)["id"]

    answer = me.get(f"{operations(session)}1/wait/", params={"timeout": timeout})

    assert answer.status_code == 400
    assert answer.json()["timeout"]


def test_waiting_ends_with_the_operation(working: RunningLab) -> None:
    me = working.user()
    session = made(me)["id"]
    operation = asked(me, session)["id"]

    done = me.get(f"{operations(session)}{operation}/wait/", params={"timeout": 60}).json()

    assert (done["status"], done["operation_progress"]) == ("COMPLETED", 1.0)
    assert done["output"]["output_data"] == [{"files": 1, "bytes": 5760, "threshold": 255.0}]
    assert me.get(f"{SESSIONS}{session}/").json()["operations"] == [done]


def test_a_fifth_status_is_never_told(working: RunningLab) -> None:
    me = working.user()
    session = made(me)["id"]
    for number in range(4):
        operation = asked(me, session, threshold=number)["id"]
        if number % 2:
            me.post(f"{operations(session)}{operation}/cancel/")

    assert {one["status"] for one in me.get(operations(session)).json()["results"]} <= STATUSES


def test_a_user_has_so_many_unfinished_operations_and_no_more(tmp_path: Path) -> None:
    with running_lab(tmp_path, max_unfinished=2, max_operations=3, max_sessions=2) as small:
        me = small.user()
        session = made(me)["id"]
        first = asked(me, session)["id"]
        asked(me, session, threshold=1)
        body = {"name": "Median", "input_data": {"input_files": [uploaded(me)], "threshold": 2}}

        refused = me.post(operations(session), json=body)
        me.post(f"{operations(session)}{first}/cancel/")
        taken = me.post(operations(session), json=body)
        full = me.post(operations(session), json=body)
        made(me)
        too_many = me.post(SESSIONS, json={"name": "x"})

    assert (refused.status_code, taken.status_code, full.status_code) == (429, 201, 429)
    assert int(refused.headers["Retry-After"]) > 0
    assert too_many.status_code == 429
