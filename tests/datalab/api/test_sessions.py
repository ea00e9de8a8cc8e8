"""Sessions: made, listed, filtered, changed, deleted, and nobody else's."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from datalab.domain.sessions import ITEMS_AT_MOST
from tests.datalab.api.calling import SESSIONS, asked, made, operations
from tests.support.lab import RunningLab

FILE = {"type": "fitsfile", "source": "archive", "basename": "mrc1-sq005mm-20231114-00010332"}


def test_a_session_has_the_documented_fields(me: httpx.Client) -> None:
    session = made(me, "My New Session Name", [FILE])

    assert list(session) == [
        "id",
        "operations",
        "user",
        "name",
        "input_data",
        "created",
        "accessed",
        "modified",
    ]
    assert isinstance(session["id"], int)
    assert session["operations"] == []
    assert session["input_data"] == [FILE]
    assert datetime.fromisoformat(session["created"]).tzinfo == UTC


@pytest.mark.parametrize("path", ["/api/datasessions", "/api/datasessions/"])
def test_both_forms_of_a_path_are_answered_without_a_redirect(me: httpx.Client, path: str) -> None:
    answers = [me.post(path, json={"name": "x"}), me.get(path), me.get(f"{path.rstrip('/')}?limit=1")]

    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert all(int(answer.headers["Content-Length"]) == len(answer.content) for answer in answers)


def test_a_session_is_deleted_by_a_path_without_slash(me: httpx.Client) -> None:
    session = made(me)["id"]

    assert me.delete(f"/api/datasessions/{session}").status_code == 204
    assert me.get(f"{SESSIONS}{session}/").status_code == 404


def test_sessions_come_last_modified_first_in_pages_that_name_their_neighbours(me: httpx.Client) -> None:
    numbers = [made(me, f"s{number}")["id"] for number in range(5)]
    me.patch(f"{SESSIONS}{numbers[0]}/", json={"name": "newest"})

    first = me.get(SESSIONS, params={"limit": 2, "name": "s"}).json()
    page = me.get(SESSIONS, params={"limit": 2}).json()
    second = me.get(page["next"]).json()
    last = me.get(second["next"]).json()

    assert [one["id"] for one in page["results"]] == [numbers[0], numbers[4]]
    assert [one["id"] for one in second["results"]] == [numbers[3], numbers[2]]
    assert [one["id"] for one in last["results"]] == [numbers[1]]
    assert (page["count"], page["previous"], last["next"]) == (5, None, None)
    assert me.get(last["previous"]).json()["results"] == second["results"]
    assert me.get(second["previous"]).json() == page
    assert page["next"].startswith(str(me.base_url))
    assert "limit=2&offset=2" in page["next"]
    assert "name=s" in first["next"]


@pytest.mark.parametrize(
    "params", [{"limit": "0"}, {"limit": "x"}, {"limit": "-3"}, {"offset": "x"}, {"limit": "9" * 40}]
)
def test_limits_that_are_none_count_as_not_given(me: httpx.Client, params: dict[str, str]) -> None:
    made(me)

    assert me.get(SESSIONS, params=params).json()["count"] == 1


def test_an_offset_behind_the_end_is_an_empty_page(me: httpx.Client) -> None:
    made(me)

    page = me.get(SESSIONS, params={"offset": 10**30, "limit": 10}).json()
    far = me.get(SESSIONS, params={"offset": 500, "limit": 10}).json()

    assert page["count"] == far["count"] == 1
    assert far["results"] == []
    assert far["next"] is None


def test_sessions_are_filtered_by_name(me: httpx.Client) -> None:
    made(me, "Crab Nebula")
    made(me, "crab")

    def names(**params: str) -> set[str]:
        return {one["name"] for one in me.get(SESSIONS, params=params).json()["results"]}

    assert names(name="CRAB") == {"Crab Nebula", "crab"}
    assert names(name_exact="crab") == {"crab"}
    assert names(name_exact="Crab") == set()
    assert names(name="nebula", name_exact="crab") == set()


def test_sessions_are_filtered_by_user(me: httpx.Client) -> None:
    user = made(me)["user"]

    def count(**params: str) -> int:
        return int(me.get(SESSIONS, params=params).json()["count"])

    assert count(user=user[:3].upper()) == count(user_exact=user) == count(user="") == 1
    assert count(user="nobody") == count(user_exact=user[:3]) == 0


def test_sessions_are_filtered_by_when_they_were_made_and_modified(me: httpx.Client) -> None:
    first, second = made(me, "first"), made(me, "second")

    def names(**params: str) -> set[str]:
        answer = me.get(SESSIONS, params=params)
        return {one["name"] for one in answer.json()["results"]}

    assert names(created_after=second["created"]) == {"second"}
    assert names(created_before=first["created"]) == {"first"}
    assert names(modified_after="2000-01-01", modified_before="2100-01-01 00:00") == {"first", "second"}
    assert names(created_after=first["created"], name_exact="second", modified_after="2000-01-01") == {
        "second"
    }
    unescaped = me.get(f"{SESSIONS}?created_after=2000-01-01T00:00:00+01:00")
    assert unescaped.json()["count"] == 2


@pytest.mark.parametrize("field", ["created_after", "created_before", "modified_after", "modified_before"])
def test_a_bad_date_is_told_by_its_field(me: httpx.Client, field: str) -> None:
    answer = me.get(SESSIONS, params={field: "yesterday"})

    assert answer.status_code == 400
    assert answer.json()[field] == ["Enter a valid date/time."]
    assert answer.json()["error"] == f"{field}: Enter a valid date/time."


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_input_data_is_added_and_never_taken_away(me: httpx.Client, method: str) -> None:
    session = made(me, "x", [FILE, 1])["id"]

    body = {"name": "y", "input_data": [{**FILE}, True, 1, 1.5, {"b": 1}, {"b": 1}]}
    changed = me.request(method, f"{SESSIONS}{session}/", json=body).json()

    assert changed["name"] == "y"
    assert changed["input_data"] == [FILE, 1, True, 1.5, {"b": 1}]
    assert me.get(f"{SESSIONS}{session}/").json()["input_data"] == changed["input_data"]


def test_a_patch_changes_what_it_names_and_a_put_needs_a_name(me: httpx.Client) -> None:
    session = made(me, "x", [FILE])["id"]

    assert me.patch(f"{SESSIONS}{session}/", json={}).json()["name"] == "x"
    refused = me.put(f"{SESSIONS}{session}/", json={"input_data": []})

    assert refused.status_code == 400
    assert refused.json()["name"] == ["This field is required."]


def test_reading_many_times_writes_at_most_once_a_minute(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    before = lab.do(lab.sessions.load(f"s{session}")).record.revision

    for _ in range(5):
        me.get(f"{SESSIONS}{session}/")
        me.get(SESSIONS)
    lab.do(
        lab.sessions.update(
            f"s{session}", lambda old: old.model_copy(update={"accessed_us": old.created_us - 10**8})
        )
    )
    read = me.get(f"{SESSIONS}{session}/").json()

    assert read["accessed"] >= read["created"]
    assert lab.do(lab.sessions.load(f"s{session}")).record.revision == before + 2


def test_a_new_operation_brings_its_session_to_the_front(me: httpx.Client) -> None:
    old, new = made(me)["id"], made(me)["id"]
    assert [one["id"] for one in me.get(SESSIONS).json()["results"]] == [new, old]

    asked(me, old)

    assert [one["id"] for one in me.get(SESSIONS).json()["results"]] == [old, new]


def test_a_deleted_session_takes_its_operations_along(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    asked(me, session)

    assert me.delete(f"{SESSIONS}{session}/").status_code == 204
    assert me.delete(f"{SESSIONS}{session}/").status_code == 404

    wait_until_empty(lab, session)
    assert me.get(SESSIONS).json()["count"] == 0
    assert me.get(operations(session)).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_somebody_elses_session_is_not_there(me: httpx.Client, other: httpx.Client, method: str) -> None:
    session = made(other)["id"]
    body = {"name": "mine"} if method in ("PATCH", "PUT") else None

    answer = me.request(method, f"{SESSIONS}{session}/", json=body)

    assert answer.status_code == 404
    assert answer.json()["detail"] == "No DataSession matches the given query."
    assert other.get(f"{SESSIONS}{session}/").json()["name"] == "session"
    assert me.get(SESSIONS).json()["count"] == 0


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "9" * 30, "1e3", "%00"])
def test_an_id_that_is_none_leads_nowhere(me: httpx.Client, number: str) -> None:
    answer = me.get(f"{SESSIONS}{number}/")

    assert answer.status_code == 404
    assert answer.json() == {"error": "Not found.", "detail": "Not found."}


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "name", "This field is required."),
        ({"name": None}, "name", "This field may not be null."),
        ({"name": "  "}, "name", "This field may not be blank."),
        ({"name": "x" * 257}, "name", "Ensure this field has no more than 256 characters."),
        ({"name": ["x"]}, "name", "Not a valid string."),
        ({"name": "a\0b"}, "name", "Null characters are not allowed."),
        (
            {"name": "x", "input_data": {"a": 1}},
            "input_data",
            'Expected a list of items but got type "dict".',
        ),
        ({"name": "x", "input_data": None}, "input_data", "This field may not be null."),
        ({"name": "x", "input_data": "abc"}, "input_data", 'Expected a list of items but got type "str".'),
    ],
)
def test_wrong_fields_are_told(me: httpx.Client, body: Any, field: str, message: str) -> None:
    answer = me.post(SESSIONS, json=body)

    assert answer.status_code == 400
    assert answer.json() == {"error": f"{field}: {message}", field: [message]}
    assert me.get(SESSIONS).json()["count"] == 0


def test_a_form_makes_a_session_too(me: httpx.Client) -> None:
    answer = me.post(SESSIONS, data={"name": "x", "input_data": '[{"a": 1}]'})

    assert answer.status_code == 201
    assert answer.json()["input_data"] == [{"a": 1}]


def test_a_session_does_not_grow_beyond_what_can_be_kept(me: httpx.Client) -> None:
    session = made(me, "x", [1])["id"]

    answer = me.patch(f"{SESSIONS}{session}/", json={"input_data": list(range(ITEMS_AT_MOST + 1))})

    assert answer.status_code == 400
    assert answer.json()["input_data"] == [f"A session has at most {ITEMS_AT_MOST} items of input data."]
    assert me.get(f"{SESSIONS}{session}/").json()["input_data"] == [1]


def wait_until_empty(lab: RunningLab, session: int) -> None:
    """Wait until nothing is in a session any more."""
    ends_at_s = time.monotonic() + 20
    while lab.do(lab.operations.count({"session": session})):
        assert time.monotonic() < ends_at_s
        time.sleep(0.02)
