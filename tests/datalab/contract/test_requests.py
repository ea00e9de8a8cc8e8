"""The interface of the service that users had before, row by row, and its faults with what is true now.

More about each route is in ``tests/datalab/api``.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import httpx
import pytest

from datalab.clock import now_us
from datalab.domain.asked import AskedOperation, State
from datalab.domain.computations import Outcome
from tests.datalab.api.calling import SESSIONS, asked, made, operations, uploaded
from tests.support.lab import RunningLab

SEED_FORM = {"type": "fitsfile", "source": "archive", "basename": "mrc1-sq005mm-20231114-00010332"}
ENVELOPE = ["count", "next", "previous", "results"]


def test_sessions_are_listed_with_their_operations(me: httpx.Client) -> None:
    """Row: GET /api/datasessions/; Row: pagination."""
    session = made(me)
    asked(me, session["id"])

    page = me.get(SESSIONS).json()

    assert list(page) == ENVELOPE
    assert [one["id"] for one in page["results"]] == [session["id"]]
    assert len(page["results"][0]["operations"]) == 1


def test_a_session_is_made(me: httpx.Client) -> None:
    """Row: POST /api/datasessions/."""
    assert me.post(SESSIONS, json={"name": "x"}).json()["input_data"] == []
    assert me.post(SESSIONS, json={}).json()["name"] == ["This field is required."]
    assert me.post(SESSIONS, content=b"{").json()["detail"].startswith("JSON parse error - ")


def test_a_session_is_read_changed_and_deleted(me: httpx.Client) -> None:
    """Row: GET, PUT, PATCH, DELETE /api/datasessions/{id}/."""
    path = f"{SESSIONS}{made(me, 'x', [1])['id']}/"

    assert me.get(path).json()["name"] == "x"
    assert me.put(path, json={"name": "y"}).json()["input_data"] == [1]
    assert me.patch(path, json={"input_data": [1, 2]}).json()["input_data"] == [1, 2]
    assert me.delete(path).status_code == 204
    assert me.get(path).json()["detail"] == "No DataSession matches the given query."
    assert me.get(f"{SESSIONS}x/").json()["detail"] == "Not found."


def test_operations_are_listed_and_asked_for_by_name(me: httpx.Client) -> None:
    """Row: GET, POST /api/datasessions/{id}/operations/."""
    session = made(me)["id"]
    asked(me, session)

    assert list(me.get(operations(session)).json()) == ENVELOPE
    refused = me.post(operations(session), json={"name": "X", "input_data": {}})
    assert refused.json()["name"] == ['"X" is not a valid choice.']


@pytest.mark.parametrize(
    "body", [{}, {"name": "Median"}, {"name": "Median", "input_data": []}, {"input_data": {}}]
)
def test_operations_that_were_a_500(me: httpx.Client, body: Any) -> None:
    """Row: POST /api/datasessions/{id}/operations/ without input_data, with a list, without a session."""
    assert me.post(operations(made(me)["id"]), json=body).status_code == 400
    assert me.post(operations(10**9), json=body).status_code == 404


def test_an_operation_is_read_and_deleted_and_not_renamed(me: httpx.Client) -> None:
    """Row: GET, PUT, PATCH, DELETE /api/datasessions/{id}/operations/{oid}/."""
    session = made(me)["id"]
    path = f"{operations(session)}{asked(me, session)['id']}/"

    assert me.get(path).json()["name"] == "Median"
    assert me.patch(path, json={"name": "Stacking"}).status_code == 400
    assert me.delete(path).status_code == 204
    assert me.get(path).json()["detail"] == "No DataOperation matches the given query."


def test_several_operations_are_deleted(me: httpx.Client) -> None:
    """Row: POST /api/datasessions/{id}/operations/bulk_delete/."""
    session = made(me)["id"]
    path = f"{operations(session)}bulk_delete/"

    assert me.post(path, json={"ids": [asked(me, session)["id"]]}).json() == {"deleted": 1}
    assert me.post(path, json={}).json()["ids"] == ["This field is required."]


def test_operations_are_told_as_wizards_need_them(me: httpx.Client) -> None:
    """Row: GET /api/available_operations/."""
    told = me.get("/api/available_operations/").json()

    assert list(told) == ["Median"]
    assert list(told["Median"]) == ["name", "description", "category", "inputs"]
    assert told["Median"]["inputs"]["input_files"]["type"] == "fits"


def test_analysis_tells_what_is_wrong(me: httpx.Client) -> None:
    """Row: POST /api/analysis/{action}/."""
    unknown = me.post("/api/analysis/x/", json={"basename": "y"})
    nowhere = me.post("/api/analysis/wcs/", json={"basename": "y", "source": "upload"})

    assert unknown.json()["error"] == "Analysis action 'x' not found"
    assert nowhere.json()["error"].startswith("wcs Error: ")
    assert me.post("/api/analysis/wcs/", json={}).status_code == 400
    assert me.get("/api/analysis/wcs/").status_code == 405


def test_only_the_portal_tells_of_users(lab: RunningLab) -> None:
    """Row: POST /authprofile/addupdateuser/."""
    answer = lab.client().post("/authprofile/addupdateuser/", json={"username": "x"})

    assert answer.status_code == 403
    assert answer.json()["detail"] == "Invalid or missing API Key."


def test_a_401_says_why(lab: RunningLab) -> None:
    """Row: 401 bodies."""

    def detail(**headers: str) -> Any:
        return lab.client().get(SESSIONS, headers=headers).json()["detail"]

    assert detail() == "Authentication credentials were not provided."
    assert detail(Authorization="Token nobodys-token") == "Invalid token."
    assert detail(Authorization="Token") == "Invalid token header. No credentials provided."


@pytest.mark.parametrize(
    "item",
    [
        SEED_FORM,
        {
            **SEED_FORM,
            "id": 5,
            "url": "https://a/?X=1",
            "filter": "rp",
            "target_name": "M1",
            "observation_date": "",
        },
        {
            "source": "datalab",
            "basename": "f" * 64,
            "operation": {"output": {"output_files": [SEED_FORM]}},
            "operationIndex": 0,
        },
    ],
    ids=["the seed's", "the page's", "an output's"],
)
def test_every_form_of_an_input_is_kept_as_it_came(me: httpx.Client, item: Any) -> None:
    """Row: the seed's form, the page's form, an output as an input."""
    assert made(me, "x", [item])["input_data"] == [item]


def test_unknown_keys_of_an_operations_input_are_tolerated(me: httpx.Client) -> None:
    """Row: unknown keys."""
    session = made(me)["id"]
    inputs = {"input_files": [{**uploaded(me), "operation": {"deep": [1]}, "operationName": "x"}], "other": 1}

    answer = me.post(operations(session), json={"name": "Median", "input_data": inputs})

    assert answer.status_code == 201
    assert answer.json()["input_data"] == inputs


def test_nobody_reaches_into_somebody_elses_session(me: httpx.Client, other: httpx.Client) -> None:
    """Row: fault 1, operations in somebody else's session."""
    session = made(other)["id"]
    operation = asked(other, session)["id"]
    body = {"name": "Median", "input_data": {"input_files": [uploaded(me)]}}

    assert me.post(operations(session), json=body).status_code == 404
    assert me.post(f"{operations(session)}bulk_delete/", json={"ids": [operation]}).status_code == 404
    assert other.get(operations(session)).json()["count"] == 1


@pytest.mark.parametrize("body", [[], "x", 1, None, {"name": []}, {"name": "x", "input_data": 1}])
def test_a_bad_body_is_a_400_in_json(me: httpx.Client, body: Any) -> None:
    """Row: fault 3, bad bodies were a 500."""
    for path in (SESSIONS, operations(made(me)["id"])):
        answer = me.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == "application/json"
        assert isinstance(answer.json()["error"], str)


def test_listing_many_sessions_is_few_questions_and_no_write(lab: RunningLab, me: httpx.Client) -> None:
    """Row: fault 8, a list that took seconds and a write for each session."""
    user = made(me, "0")["user"]
    numbers = [made(me, str(number))["id"] for number in range(1, 12)]
    lab.do(_fill(lab, user, numbers[:-1], each=9))
    before = {number: lab.do(lab.sessions.load(f"s{number}")).record.revision for number in numbers}

    page = me.get(SESSIONS, params={"limit": 11}).json()

    assert [len(one["operations"]) for one in page["results"]] == [0] + [9] * 10
    assert all(
        [operation["id"] for operation in one["operations"]] == sorted(_ids(one)) for one in page["results"]
    )
    after = {number: lab.do(lab.sessions.load(f"s{number}")).record.revision for number in numbers}
    assert after == before


def test_what_the_page_needs(me: httpx.Client) -> None:
    """Row: integer ids; Row: Content-Length; Row: error beside the fields; Row: DELETE without slash."""
    session = made(me)
    operation = asked(me, session["id"])
    answers = [me.get(SESSIONS), me.get(f"{SESSIONS}{session['id']}/"), me.post(SESSIONS, json={})]

    assert isinstance(session["id"], int)
    assert isinstance(operation["id"], int)
    assert operation["status"] in ("PENDING", "IN_PROGRESS", "COMPLETED", "FAILED")
    assert all("Content-Length" in answer.headers for answer in answers)
    assert answers[2].json().keys() >= {"error", "name"}
    assert me.delete(f"{SESSIONS}{session['id']}").status_code == 204


def test_a_session_has_its_fields_and_no_others(me: httpx.Client) -> None:
    """Row: session JSON."""
    session = made(me, "A name", [1])

    names = ["id", "operations", "user", "name", "input_data", "created", "accessed", "modified"]
    assert list(session) == names
    assert (session["name"], session["input_data"], session["operations"]) == ("A name", [1], [])
    for name in names[-3:]:
        assert datetime.fromisoformat(session[name]).tzinfo is not None


def test_an_operation_has_its_fields_and_no_others(me: httpx.Client) -> None:
    """Row: operation JSON."""
    operation = asked(me, made(me)["id"])

    assert list(operation) == [
        *("id", "name", "status", "message", "operation_progress", "output", "input_data", "created")
    ]
    assert (operation["status"], operation["operation_progress"]) == ("PENDING", 0.0)
    assert (operation["message"], operation["output"]) == ("", None)


def test_all_lists_have_the_same_envelope_and_pages(me: httpx.Client) -> None:
    """Row: pagination, limit and offset, one hundred where nothing is said."""
    session = made(me)["id"]
    made(me)
    asked(me, session)

    for path in (SESSIONS, operations(session), "/api/uploads/"):
        page = me.get(path, params={"limit": 1, "offset": 1}).json()
        assert list(page)[:3] == ENVELOPE[:3]
        assert page["previous"]
        assert "limit=100" not in str(me.get(path).json()["next"])
        assert len(me.get(path, params={"limit": "x", "offset": "-1"}).json()["results"]) >= 1


@pytest.mark.parametrize("name", ["created_after", "created_before", "modified_after", "modified_before"])
def test_a_bad_date_is_a_400_by_its_field(me: httpx.Client, name: str) -> None:
    """Row: a bad date."""
    told = me.get(SESSIONS, params={name: "soon"})

    assert told.status_code == 400
    assert told.json()[name] == ["Enter a valid date/time."]


@pytest.mark.parametrize("word", ["Token", "Bearer", "token"])
def test_a_token_is_taken_under_both_words(me: httpx.Client, word: str) -> None:
    """Row: Authorization, Token and Bearer."""
    token = me.headers["Authorization"].split()[1]

    assert me.get(SESSIONS, headers={"Authorization": f"{word} {token}"}).status_code == 200


def test_both_forms_of_every_path_are_answered(me: httpx.Client) -> None:
    """Row: missing trailing slash, which was a 301."""
    session = made(me)["id"]
    operation = asked(me, session)["id"]
    paths = [
        *(SESSIONS, f"{SESSIONS}{session}/", operations(session), f"{operations(session)}{operation}/"),
        *("/api/available_operations/", "/api/uploads/", "/api/profile/"),
    ]

    for path in paths:
        assert me.get(path).json() == me.get(path.rstrip("/")).json(), path


def test_admins_read_what_the_admin_pages_had(lab: RunningLab, me: httpx.Client) -> None:
    """Row: /admin/, sessions with their users and counts, users."""
    session = made(me, "Mine")
    asked(me, session["id"])
    admin = lab.user(is_admin=True)

    (row,) = admin.get("/api/admin/sessions/", params={"user": session["user"]}).json()["results"]

    assert (row["id"], row["user"], row["name"], row["operation_count"]) == (
        session["id"],
        session["user"],
        "Mine",
        1,
    )
    assert row.keys() >= {"created", "accessed", "modified"}
    assert session["user"] in [one["username"] for one in admin.get("/api/admin/users/").json()["results"]]
    assert me.get("/api/admin/sessions/").status_code == 403


def test_a_page_of_another_origin_is_let_in(lab: RunningLab, me: httpx.Client) -> None:
    """Row: CORS with authorization and content-type."""
    asks = {
        "Origin": "https://ui.example.org",
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    path = f"{SESSIONS}{made(me)['id']}"

    before = lab.client().options(path, headers=asks)
    answers = [
        me.get(path, headers={"Origin": "https://ui.example.org"}),
        me.get(f"{SESSIONS}0/", headers={"Origin": "https://ui.example.org"}),
        lab.client().get(path, headers={"Origin": "https://ui.example.org"}),
    ]
    elsewhere = lab.client().options(path, headers={**asks, "Origin": "https://evil.example.org"})

    assert before.status_code == 200
    assert "DELETE" in before.headers["Access-Control-Allow-Methods"]
    assert "authorization" in before.headers["Access-Control-Allow-Headers"].lower()
    assert [answer.status_code for answer in answers] == [200, 404, 401]
    for answer in (before, *answers):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://ui.example.org"
    assert "Access-Control-Allow-Origin" not in elsewhere.headers


async def _fill(lab: RunningLab, owner: str, sessions: list[int], each: int) -> None:
    for session in sessions:
        for nth in range(each):
            number = session * 1000 + nth
            operation = AskedOperation(
                number=number,
                session=session,
                owner=owner,
                name="Median",
                input_data={},
                created_us=now_us(),
                key=str(number),
                state=State.COMPLETED,
                progress=1.0,
                output=Outcome(data=({"x": 1},)).model_dump(mode="json"),
            )
            await lab.operations.insert(operation.document_id, operation)


def _ids(session: dict[str, Any]) -> list[int]:
    return [operation["id"] for operation in session["operations"]]
