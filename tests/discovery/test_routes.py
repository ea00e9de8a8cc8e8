from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from discovery.config import Settings
from shared.events import Event, FlightFound, ImagesStaged, new_event
from shared.platform import Platform
from tests.discovery.conftest import DiscoveryClient, running_discovery
from tests.support.events import flight_found
from tests.support.listening import heard

STRUCTURED = {"Content-Type": "application/cloudevents+json"}


async def post(discovery: DiscoveryClient, event: Event[Any], **headers: str) -> Any:
    return await discovery.http.post("/events", content=event.to_bytes(), headers=STRUCTURED | headers)


async def discovered(discovery: DiscoveryClient, folder: Path) -> dict[str, Any]:
    answer = await discovery.http.post("/api/discover", json={"source": folder.as_uri()})
    assert answer.status_code == 202, answer.text
    (flight,) = answer.json()["flights"]
    return dict(flight)


async def in_state(discovery: DiscoveryClient, flight_id: str, state: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            flight = (await discovery.http.get(f"/api/flights/{flight_id}")).json()
            if flight.get("state") == state:
                return dict(flight)
            await asyncio.sleep(0.05)


async def test_a_flight_that_was_asked_for_is_announced(discovery: DiscoveryClient, root: Path) -> None:
    asked = await discovered(discovery, root / "east")
    (event,) = await heard(discovery.platform, FlightFound, at_least=1)

    assert (asked["name"], asked["state"]) == ("east", "settling")
    assert (event.data.flight_id, event.data.image_count) == (asked["flight_id"], 2)
    assert (await in_state(discovery, asked["flight_id"], "staging"))["runs"][0]["options"]["scale"] is None


async def test_a_root_with_many_flights_announces_each(discovery: DiscoveryClient, root: Path) -> None:
    answer = await discovery.http.post("/api/discover", json={"source": root.as_uri()})
    events = await heard(discovery.platform, FlightFound, at_least=2)

    assert len(answer.json()["flights"]) == 2
    assert {event.data.name for event in events} == {"east", "west"}


async def test_configured_roots_are_scanned(platform: Platform, root: Path) -> None:
    async with running_discovery(platform, roots=(root.as_uri(),), scan_every=0.1):
        events = await heard(platform, FlightFound, at_least=2)

    assert {event.data.name for event in events} == {"east", "west"}


async def test_an_unknown_root_keeps_no_other_waiting(platform: Platform, root: Path) -> None:
    roots = ("file:///nowhere/at/all", root.as_uri())
    async with running_discovery(platform, roots=roots, scan_every=0.1):
        assert len(await heard(platform, FlightFound, at_least=2)) == 2


def test_a_root_that_is_no_uri_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="expected URIs such as"):
        Settings(roots=("/data/flights",))


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"source": "file:///nowhere"}, 404, None),
        ({"source": "ftp://host/x"}, 400, "source"),
        ({"source": 7}, 422, "source"),
        ({}, 422, "source"),
        ({"source": "file:///", "extra": 1}, 422, "extra"),
        ({"source": "file:///", "options": {"scale": 100}}, 422, "options.scale"),
    ],
)
async def test_a_wish_that_cannot_be_met_names_the_field(
    discovery: DiscoveryClient, body: dict[str, Any], status: int, field: str | None
) -> None:
    answer = await discovery.http.post("/api/discover", json=body)

    assert answer.status_code == status
    assert [fault["field"] for fault in answer.json()["error"].get("faults", [])] == (
        [field] if field else []
    )


async def test_a_signed_url_is_refused_and_not_repeated(
    discovery: DiscoveryClient, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "5ec7e7c0ffee5ec7e7c0ffee"
    source = f"https://bucket.example.org/flight.json?X-Amz-Signature={secret}"
    answer = await discovery.http.post("/api/discover", json={"source": source})
    listed = await discovery.http.get("/api/flights/")
    logged = capfd.readouterr()

    assert (answer.status_code, answer.json()["error"]["faults"][0]["field"]) == (400, "source")
    assert "X-Amz-Signature" in answer.json()["error"]["message"]
    assert listed.json()["total"] == 0
    assert secret not in f"{answer.text}{logged.out}{logged.err}"


async def test_flights_are_paged_and_filtered(discovery: DiscoveryClient, root: Path) -> None:
    for name in ("east", "west"):
        await discovered(discovery, root / name)
    await heard(discovery.platform, FlightFound, at_least=2)
    path = "/api/flights/?limit=1&sort=name&state=staging"
    first = (await discovery.http.get(path)).json()
    second = (await discovery.http.get(f"{path}&after={quote(first['cursor'])}")).json()

    assert [page["flights"][0]["name"] for page in (first, second)] == ["east", "west"]
    assert (first["total"], second["cursor"]) == (2, None)


async def test_flights_are_found_by_name_system_and_owner(discovery: DiscoveryClient, root: Path) -> None:
    for name in ("east", "west"):
        await discovered(discovery, root / name)
    totals = {
        query: (await discovery.http.get(f"/api/flights/?{query}")).json()["total"]
        for query in ("name=east", "name=eas", "system=", "owner=", "owner=ann", "name=west&owner=&system=")
    }

    assert totals == {
        "name=east": 1, "name=eas": 0, "system=": 2, "owner=": 2, "owner=ann": 0,
        "name=west&owner=&system=": 1,
    }  # fmt: skip


async def test_a_flight_tells_its_stages(discovery: DiscoveryClient, root: Path) -> None:
    asked = await discovered(discovery, root / "east")
    flight = await in_state(discovery, asked["flight_id"], "staging")

    assert [stage["name"] for stage in flight["stages"]] == ["found", "staged", "processed"]
    assert (flight["stages"][0]["state"], flight["stages"][0]["image_count"]) == ("done", 2)


@pytest.mark.parametrize("sort", ["name", "-name", "updated_at", "-updated_at"])
@pytest.mark.parametrize("state", [None, "completed"])
async def test_every_order_and_filter_is_indexed(
    discovery: DiscoveryClient, sort: str, state: str | None
) -> None:
    query = {"sort": sort} | ({"state": state} if state else {})
    answer = await discovery.http.get("/api/flights/", params=query)

    assert answer.json() == {"flights": [], "cursor": None, "total": 0}


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=1001", "limit"), ("state=flying", "state"), ("sort=x", "sort")],
)
async def test_bad_queries_name_the_parameter(discovery: DiscoveryClient, query: str, field: str) -> None:
    answer = await discovery.http.get(f"/api/flights/?{query}")

    assert answer.status_code == 422
    assert field in answer.json()["error"]["faults"][0]["field"]


async def test_a_bad_cursor_is_bad_input(discovery: DiscoveryClient) -> None:
    assert (await discovery.http.get("/api/flights/?after=nonsense")).status_code == 400


async def test_an_unknown_flight_is_not_found(discovery: DiscoveryClient) -> None:
    answer = await discovery.http.get("/api/flights/nobody")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_an_event_from_outside_is_published_once(discovery: DiscoveryClient) -> None:
    event = flight_found()
    answers = [(await post(discovery, event)).json() for _ in range(3)]
    published = await heard(discovery.platform, FlightFound, at_least=1)

    assert [answer["duplicate"] for answer in answers] == [False, True, True]
    assert [(each.id, each.source) for each in published] == [(event.id, event.source)]


async def test_the_same_id_of_another_source_is_another_event(discovery: DiscoveryClient) -> None:
    event = flight_found()
    await post(discovery, event)
    answer = await post(discovery, event.model_copy(update={"source": "elsewhere"}))

    assert answer.json()["duplicate"] is False
    assert len(await heard(discovery.platform, FlightFound, at_least=2)) == 2


async def test_an_event_in_binary_mode_is_published(discovery: DiscoveryClient) -> None:
    event = flight_found()
    headers = {"ce-specversion": "1.0", "ce-id": "b1", "ce-source": "elsewhere", "ce-type": "flight-found"}
    answer = await discovery.http.post(
        "/events",
        content=event.data.model_dump_json(),
        headers=headers | {"ce-time": "2026-05-01T12:00:00Z", "Content-Type": "application/json"},
    )
    (published,) = await heard(discovery.platform, FlightFound, at_least=1)

    assert answer.json() == {"id": "b1", "type": "flight-found", "duplicate": False}
    assert published.data == event.data


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data": {"flight_id": "a b"}}, "data.flight_id"),
        ({"data": {"version": None}}, "data.version"),
        ({"data": {"image_count": -1}}, "data.image_count"),
        ({"data": {"source": "no uri"}}, "data.source"),
        ({"id": ""}, "id"),
        ({"time": "yesterday"}, "time"),
        ({"specversion": "2.0"}, "specversion"),
        ({"type": "task-completed"}, "task-completed"),
        ({"type": None}, "None"),
    ],
)
async def test_a_malformed_event_is_refused_with_the_field(
    discovery: DiscoveryClient, change: dict[str, Any], named: str
) -> None:
    document = flight_found().model_dump(mode="json", exclude_none=True)
    data = document["data"] | change.pop("data", {})
    answer = await discovery.http.post("/events", json=document | {"data": data} | change, headers=STRUCTURED)

    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null"])
async def test_what_is_no_event_is_refused(discovery: DiscoveryClient, body: bytes) -> None:
    for headers in (STRUCTURED, {"Content-Type": "application/json"}):
        answer = await discovery.http.post("/events", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["faults"][0]["field"]) == (400, "event")


async def test_a_batch_of_events_is_published_once(discovery: DiscoveryClient) -> None:
    events = [flight_found("a"), flight_found("b")]
    batch = [json.loads(event.to_bytes()) for event in events]
    headers = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
    answers = [(await discovery.http.post("/events", json=batch, headers=headers)).json() for _ in range(2)]
    published = await heard(discovery.platform, FlightFound, at_least=2)

    assert [[one["duplicate"] for one in answer["accepted"]] for answer in answers] == [
        [False, False],
        [True, True],
    ]
    assert sorted(event.data.flight_id for event in published) == ["a", "b"]


@pytest.mark.parametrize("batch", [[{}], [7], {}, "x", [{"type": "task-completed"}], [[]]])
async def test_of_a_batch_that_is_partly_malformed_nothing_is_published(
    discovery: DiscoveryClient, batch: Any
) -> None:
    whole = [json.loads(flight_found("a").to_bytes()), *batch] if isinstance(batch, list) else batch
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    answer = await discovery.http.post("/events", json=whole, headers=headers)

    assert answer.status_code == 400
    assert await heard(discovery.platform, FlightFound) == []


async def test_an_event_of_more_than_a_mebibyte_is_too_large(discovery: DiscoveryClient) -> None:
    answer = await discovery.http.post("/events", content=b"x" * (1 << 20) + b"x", headers=STRUCTURED)

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


async def test_writing_needs_the_token_where_one_is_set(platform: Platform, root: Path) -> None:
    async with running_discovery(platform, token=SecretStr("hunter2")) as discovery:
        refused = [
            await post(discovery, flight_found()),
            await discovery.http.post("/api/discover", json={"source": root.as_uri()}),
        ]
        taken = await post(discovery, flight_found(), Authorization="Bearer hunter2")
        reading = await discovery.http.get("/api/flights/")

    assert [answer.status_code for answer in refused] == [401, 401]
    assert (taken.status_code, reading.status_code) == (202, 200)


async def test_a_folder_that_may_not_be_read_is_bad_input(platform: Platform, root: Path) -> None:
    on = Platform(
        platform.settings.model_copy(update={"folders": (root / "west",)}),
        platform.transport,
        platform.store,
        platform.objects,
        platform.topology,
    )
    async with running_discovery(on) as discovery:
        answer = await discovery.http.post("/api/discover", json={"source": (root / "east").as_uri()})

    assert answer.status_code == 400
    assert "FLIGHTLINE_FOLDERS" in answer.json()["error"]["message"]


async def test_a_flight_told_of_from_outside_is_followed(discovery: DiscoveryClient) -> None:
    data = ImagesStaged(
        flight_id="mine", version="1", name="meadow", prefix="s3://b/p", image_count=3, total_bytes=9
    )
    await post(discovery, new_event("elsewhere", data))
    flight = await in_state(discovery, "mine", "processing")

    assert (flight["name"], flight["source"]) == ("meadow", "s3://b/p")
    assert [(run["version"], run["image_count"]) for run in flight["runs"]] == [("1", 3)]
