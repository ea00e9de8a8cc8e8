"""The contract of the service that users had before, row by row, and its faults with what is true now.

More about each row is in the other tests of this folder; what concerns running operations is in
``tests/datalab/execution``.
"""

from __future__ import annotations

import json
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


def test_row_1_1_list_sessions(me: httpx.Client) -> None:
    session = made(me)
    asked(me, session["id"])

    page = me.get(SESSIONS).json()

    assert list(page) == ENVELOPE
    assert [one["id"] for one in page["results"]] == [session["id"]]
    assert len(page["results"][0]["operations"]) == 1


def test_row_1_1_make_a_session(me: httpx.Client) -> None:
    assert me.post(SESSIONS, json={"name": "x"}).json()["input_data"] == []
    assert me.post(SESSIONS, json={}).json()["name"] == ["This field is required."]
    assert me.post(SESSIONS, content=b"{").json()["detail"].startswith("JSON parse error - ")


def test_row_1_1_one_session(me: httpx.Client) -> None:
    path = f"{SESSIONS}{made(me, 'x', [1])['id']}/"

    assert me.get(path).json()["name"] == "x"
    assert me.put(path, json={"name": "y"}).json()["input_data"] == [1]
    assert me.patch(path, json={"input_data": [1, 2]}).json()["input_data"] == [1, 2]
    assert me.delete(path).status_code == 204
    assert me.get(path).json()["detail"] == "No DataSession matches the given query."
    assert me.get(f"{SESSIONS}x/").json()["detail"] == "Not found."


def test_row_1_1_operations_of_a_session(me: httpx.Client) -> None:
    session = made(me)["id"]
    asked(me, session)

    assert list(me.get(operations(session)).json()) == ENVELOPE
    refused = me.post(operations(session), json={"name": "X", "input_data": {}})
    assert refused.json()["name"] == ['"X" is not a valid choice.']


@pytest.mark.parametrize("body", [{"name": "Median"}, {"name": "Median", "input_data": []}])
def test_row_1_1_operations_that_were_a_500(me: httpx.Client, body: Any) -> None:
    assert me.post(operations(made(me)["id"]), json=body).status_code == 400
    assert me.post(operations(10**9), json=body).status_code == 404


def test_row_1_1_one_operation(me: httpx.Client) -> None:
    session = made(me)["id"]
    path = f"{operations(session)}{asked(me, session)['id']}/"

    assert me.get(path).json()["name"] == "Median"
    assert me.patch(path, json={"name": "Stacking"}).status_code == 400
    assert me.delete(path).status_code == 204
    assert me.get(path).json()["detail"] == "No DataOperation matches the given query."


def test_row_1_1_bulk_delete(me: httpx.Client) -> None:
    session = made(me)["id"]
    path = f"{operations(session)}bulk_delete/"

    assert me.post(path, json={"ids": [asked(me, session)["id"]]}).json() == {"deleted": 1}
    assert me.post(path, json={}).json()["ids"] == ["This field is required."]


def test_row_1_1_available_operations(me: httpx.Client) -> None:
    told = me.get("/api/available_operations/").json()

    assert list(told) == ["Median"]
    assert list(told["Median"]) == ["name", "description", "category", "inputs"]
    assert told["Median"]["inputs"]["input_files"]["type"] == "fits"


def test_row_1_1_analysis(me: httpx.Client) -> None:
    unknown = me.post("/api/analysis/x/", json={"basename": "y"})
    nowhere = me.post("/api/analysis/wcs/", json={"basename": "y", "source": "upload"})

    assert unknown.json()["error"] == "Analysis action 'x' not found"
    assert nowhere.json()["error"].startswith("wcs Error: ")
    assert me.post("/api/analysis/wcs/", json={}).status_code == 400
    assert me.get("/api/analysis/wcs/").status_code == 405


def test_row_1_1_addupdateuser(lab: RunningLab) -> None:
    answer = lab.client().post("/authprofile/addupdateuser/", json={"username": "x"})

    assert answer.status_code == 403
    assert answer.json()["detail"] == "Invalid or missing API Key."


def test_row_1_1_bodies_of_401(lab: RunningLab) -> None:
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
def test_row_1_2_every_form_of_an_input_is_kept_as_it_came(me: httpx.Client, item: Any) -> None:
    assert made(me, "x", [item])["input_data"] == [item]


def test_row_1_2_unknown_keys_of_an_operations_input_are_tolerated(me: httpx.Client) -> None:
    session = made(me)["id"]
    inputs = {"input_files": [{**uploaded(me), "operation": {"deep": [1]}, "operationName": "x"}], "other": 1}

    answer = me.post(operations(session), json={"name": "Median", "input_data": inputs})

    assert answer.status_code == 201
    assert answer.json()["input_data"] == inputs


def test_row_1_7_1_nobody_reaches_into_somebody_elses_session(me: httpx.Client, other: httpx.Client) -> None:
    session = made(other)["id"]
    operation = asked(other, session)["id"]
    body = {"name": "Median", "input_data": {"input_files": [uploaded(me)]}}

    assert me.post(operations(session), json=body).status_code == 404
    assert me.post(f"{operations(session)}bulk_delete/", json={"ids": [operation]}).status_code == 404
    assert other.get(operations(session)).json()["count"] == 1


@pytest.mark.parametrize("body", [[], "x", 1, None, {"name": []}, {"name": "x", "input_data": 1}])
def test_row_1_7_3_a_bad_body_is_a_400_in_json(me: httpx.Client, body: Any) -> None:
    for path in (SESSIONS, operations(made(me)["id"])):
        answer = me.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == "application/json"
        assert isinstance(answer.json()["error"], str)


def test_row_1_7_8_listing_many_sessions_is_few_questions_and_no_write(
    lab: RunningLab, me: httpx.Client
) -> None:
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


def test_row_1_8_what_the_page_needs(me: httpx.Client) -> None:
    session = made(me)
    operation = asked(me, session["id"])
    answers = [me.get(SESSIONS), me.get(f"{SESSIONS}{session['id']}/"), me.post(SESSIONS, json={})]

    assert isinstance(session["id"], int)
    assert isinstance(operation["id"], int)
    assert operation["status"] in ("PENDING", "IN_PROGRESS", "COMPLETED", "FAILED")
    assert all("Content-Length" in answer.headers for answer in answers)
    assert answers[2].json().keys() >= {"error", "name"}
    assert me.delete(f"{SESSIONS}{session['id']}").status_code == 204


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
