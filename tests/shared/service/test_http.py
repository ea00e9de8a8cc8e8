"""Routes, errors, request ids, tokens and metrics over real HTTP."""

from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from structlog.types import EventDict

from shared.service.application import create_service
from shared.service.serving import serving
from shared.settings import ServiceSettings
from tests.shared.service.kites import kites, no_resources


async def test_routes_see_what_the_resources_yield() -> None:
    async with kites() as running:
        answer = await running.http.get("/kites/anna")

    assert answer.json() == "hello anna"
    assert running.events == ["closed"]


async def test_answers_do_not_name_the_server() -> None:
    async with kites() as running:
        answer = await running.http.get("/healthz")

    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("invalid", 400, "invalid_input"),
        ("missing", 404, "not_found"),
        ("taken", 409, "conflict"),
        ("later", 503, "unavailable"),
        ("full", 503, "unavailable"),
        ("refused", 500, "internal_error"),
        ("bug", 500, "internal_error"),
    ],
)
async def test_each_kind_of_error_has_its_status(name: str, status: int, code: str) -> None:
    async with kites() as running:
        answer = await running.http.get(f"/kites/{name}", headers={"X-Request-ID": "r1"})

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["request_id"] == "r1"


async def test_invalid_input_names_field_and_value() -> None:
    async with kites() as running:
        answer = await running.http.get("/kites/invalid")

    assert answer.json()["error"]["faults"] == [
        {"field": "wings", "value": "3", "expected": "wings must be two"}
    ]


async def test_a_transient_error_says_when_to_ask_again() -> None:
    async with kites() as running:
        answer = await running.http.get("/kites/later")

    assert answer.headers["Retry-After"] == "2"
    assert answer.json()["error"]["message"] == "ask again: amqp://user:***@host"


async def test_a_bug_is_logged_and_tells_nothing(logs: list[EventDict]) -> None:
    async with kites() as running:
        answer = await running.http.get("/kites/bug")

    assert "hunter2" not in answer.text
    assert [entry["path"] for entry in logs if entry["event"] == "request.failed"] == ["/kites/bug"]


async def test_an_unknown_path_is_answered_in_the_same_shape() -> None:
    async with kites() as running:
        answer = await running.http.get("/nothing")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


async def test_a_malformed_body_is_told_field_by_field() -> None:
    async with kites() as running:
        answer = await running.http.post("/kites", json={"name": "x" * 500, "wings": 9, "password": 1})

    faults = {fault["field"]: fault for fault in answer.json()["error"]["faults"]}
    assert answer.status_code == 422
    assert faults["wings"] == {"field": "wings", "value": "9", "expected": "less than or equal to 4"}
    assert faults["password"]["value"] == "(hidden)"


async def test_a_long_value_is_shortened_in_the_answer() -> None:
    async with kites() as running:
        answer = await running.http.post("/kites", json={"name": ["x" * 5000]})

    assert len(answer.content) < 500


@pytest.mark.parametrize(
    ("given", "status"), [("Bearer hunter2", 200), ("Bearer other", 401), ("Basic hunter2", 401), ("", 401)]
)
async def test_writing_needs_the_token(given: str, status: int) -> None:
    async with kites(token="hunter2") as running:
        answer = await running.http.post("/kites", json={"name": "a"}, headers={"Authorization": given})

    assert answer.status_code == status
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def test_a_token_with_other_letters_is_refused_not_a_bug() -> None:
    async with kites(token="hunter2") as running:
        header = {b"Authorization": "Bearer ünter".encode("latin-1")}
        answer = await running.http.post("/kites", json={"name": "a"}, headers=header)

    assert answer.status_code == 401


async def test_without_a_token_anybody_on_this_machine_may_write() -> None:
    async with kites() as running:
        answer = await running.http.post("/kites", json={"name": "a"})

    assert answer.status_code == 200


async def test_the_request_id_is_taken_over_and_logged(logs: list[EventDict]) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with kites() as running:
        headers = {"X-Request-ID": "r1", "traceparent": trace}
        answer = await running.http.get("/kites/anna", headers=headers)

    (line,) = [entry for entry in logs if entry["event"] == "kite.shown"]
    assert answer.headers["X-Request-ID"] == "r1"
    assert (line["request_id"], line["service"]) == ("r1", "kites")
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("given", ["", "a b", "x" * 200, "<script>"])
async def test_an_odd_request_id_is_replaced(given: str) -> None:
    async with kites() as running:
        answer = await running.http.get("/healthz", headers={"X-Request-ID": given})

    assert len(answer.headers["X-Request-ID"]) == 32


async def test_the_access_log_never_has_the_query(logs: list[EventDict]) -> None:
    async with kites() as running:
        await running.http.get("/nothing?token=hunter2")

    (line,) = [entry for entry in logs if entry["event"] == "request.answered"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/nothing", 404)
    assert "hunter2" not in str(logs)


async def test_metrics_count_requests_by_route_template() -> None:
    async with kites() as running:
        await running.http.get("/kites/anna-of-the-metrics")
        await running.http.get("/nothing-of-the-metrics")
        metrics = (await running.http.get("/metrics")).text

    assert 'method="GET",route="/kites/{name}",service="kites",status="200"' in metrics
    assert "of-the-metrics" not in metrics


async def test_errors_are_documented_in_the_api() -> None:
    async with kites() as running:
        api: dict[str, Any] = (await running.http.get("/openapi.json")).json()

    responses = api["paths"]["/kites"]["post"]["responses"]
    assert {"400", "422", "503", "default"} <= set(responses)
    assert "ErrorResponse" in str(responses["422"])


async def test_an_answer_cut_short_by_a_bug_is_seen_as_cut() -> None:
    async def half(scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError(scope["path"])

    settings = ServiceSettings(port=0)
    app = create_service("kites", no_resources, settings=settings)
    app.mount("/half", half)
    async with serving(app, settings) as url, httpx.AsyncClient(base_url=url) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/half/x")
