from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared.events import FlightFound
from tests.discovery.conftest import running_discovery
from tests.discovery.tapis import BOB, SERVICE_TOKEN, SYSTEM, World, created, tenant, world
from tests.support.listening import heard

STORAGE = "/api/tapis-storage"
OTHER = "ptdatax.project.PTDATAX-2"
PREFERENCES = "/api/tapis-preferences/"


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home") as opened:
        yield opened


def named(name: str, system: str = SYSTEM) -> dict[str, Any]:
    return {
        "flight_name": name,
        "system_id": system,
        "images_path": f"{name}/code/images",
        "image_count": 3,
    }


async def test_systems_are_told_as_documented(on: World) -> None:
    on.tapis.flight(SYSTEM)
    on.tapis.flight("another.system")
    answer = (await on.get(f"{STORAGE}/systems/")).json()

    (system,) = answer["systems"]
    assert (answer["success"], answer["count"]) == (True, 1)
    assert {"id", "host", "systemType", "description", "created"} <= system.keys()
    assert (system["id"], system["systemType"], system["access"]) == (SYSTEM, "LINUX", "ok")


async def test_flights_are_told_as_documented(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight001", 5)
    answer = (await on.post(f"{STORAGE}/discover-flights/", {"systems": [SYSTEM]})).json()

    (flight,) = answer["flights"]
    assert (answer["success"], answer["count"], answer["errors"]) == (True, 1, [])
    assert flight["flight_name"] == "Flight001"
    assert (flight["system_id"], flight["images_path"]) == (SYSTEM, "Flight001/code/images")
    assert (flight["image_count"], "discovered_at" in flight) == (5, True)


@pytest.mark.parametrize("body", [None, {}, {"systems": []}, {"systems": [SYSTEM, SYSTEM]}])
async def test_what_to_look_at_need_not_be_said(on: World, body: Any) -> None:
    on.tapis.flight(SYSTEM)

    assert (await on.post(f"{STORAGE}/discover-flights/", body)).json()["count"] == 1


async def test_names_with_underscores_work_as_well(on: World) -> None:
    on.tapis.flight(SYSTEM)
    found = await on.post(f"{STORAGE}/discover_flights/")
    made = await on.post(f"{STORAGE}/create_projects/", {"auto_discover": True})
    listed = await on.get(f"{STORAGE}/flight_projects/")
    (project,) = listed.json()["projects"]
    synced = await on.post(f"{STORAGE}/sync_project_images/", {"project_id": project["id"]})

    assert [answer.status_code for answer in (found, made, listed, synced)] == [200] * 4


async def test_projects_are_made_of_all_flights(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1", 3)
    on.tapis.flight(OTHER, "Flight10", 4)
    results = await created(on, {"auto_discover": True})

    assert (results["systems_scanned"], results["flights_discovered"]) == (2, 2)
    assert (results["projects_created"], results["errors"]) == (2, [])
    assert [one["project_name"] for one in results["created_projects"]] == [
        f"Flight1 ({SYSTEM})",
        f"Flight10 ({OTHER})",
    ]
    assert results["created_projects"][0] == {
        "project_id": 1,
        "project_name": f"Flight1 ({SYSTEM})",
        "flight_name": "Flight1",
        "system_id": SYSTEM,
        "image_count": 3,
    }


async def test_flights_that_became_projects_are_announced_once_they_settle(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1", 3)
    await created(on, {"auto_discover": True})
    (event,) = await heard(on.platform, FlightFound, at_least=1)

    assert (event.data.name, event.data.owner, event.data.image_count) == ("Flight1", "tester@tacc", 3)
    assert event.data.source == f"tapis://{SYSTEM}"


async def test_a_second_time_nothing_is_made_twice(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    await created(on, {"auto_discover": True})
    again = [await created(on, {"auto_discover": True}), await created(on, {"flights": [named("Flight1")]})]

    assert [results["projects_created"] for results in again] == [0, 0]
    assert [len(results["existing_projects"]) for results in again] == [1, 1]


async def test_ten_who_ask_at_once_make_one_project(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    asked = [created(on, {"auto_discover": True}) for _ in range(10)]
    answers = await asyncio.gather(*asked)

    assert sum(results["projects_created"] for results in answers) == 1
    assert len(await heard(on.platform, FlightFound, at_least=1)) == 1


async def test_flights_that_are_named_are_looked_at(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    body = {"flights": [named("Flight1"), named("Flight2"), named("Flight1", "some.other.system")]}
    results = await created(on, body)

    assert (results["projects_created"], results["flights_discovered"]) == (1, 1)
    first, second = results["errors"]
    assert first.startswith(f"{SYSTEM}: Flight2/code/images: there is no tapis://{SYSTEM}/Flight2")
    assert second.startswith("some.other.system: Flight1/code/images: only systems called ptdatax.project.*")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("create-projects", {}, "auto_discover"),
        ("create-projects", {"auto_discover": False}, "auto_discover"),
        ("create-projects", {"flights": []}, "auto_discover"),
        ("create-projects", {"flights": [{"system_id": SYSTEM}]}, "flights.0.images_path"),
        ("create-projects", {"flights": [named("x") | {"system_id": "a/../b"}]}, "system_id"),
        ("create-projects", {"flights": "all"}, "flights"),
        ("create-projects", None, "body"),
        ("create-projects", [], "body"),
        ("discover-flights", {"systems": "ptdatax"}, "systems"),
        ("discover-flights", {"systems": [7]}, "systems.0"),
        ("discover-flights", {"systems": ["?search=x"]}, "systems.0"),
        ("sync-project-images", {}, "project_id"),
        ("sync-project-images", {"project_id": "1"}, "project_id"),
        ("sync-project-images", {"project_id": 0}, "project_id"),
        ("sync-project-images", {"project_id": None}, "project_id"),
    ],
)
async def test_bad_input_is_400_and_names_the_field(on: World, path: str, body: Any, field: str) -> None:
    answer = await on.post(f"{STORAGE}/{path}/", body)

    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert field in answer.json()["detail"]


async def test_a_body_that_is_no_json_is_400(on: World) -> None:
    for body in (b"{", b"\xff", b"[" * 100_000):
        answer = await on.http.post(
            f"{STORAGE}/create-projects/",
            content=body,
            headers=on.as_user() | {"Content-Type": "application/json"},
        )
        assert answer.status_code == 400, body[:10]


@pytest.mark.parametrize("path", ["../../etc/code/images", "/", "a//b", "x\u0000y"])
async def test_a_path_that_leads_elsewhere_is_an_error_of_that_flight(on: World, path: str) -> None:
    on.tapis.flight(SYSTEM)
    results = await created(on, {"flights": [named("x") | {"images_path": path}]})

    assert (results["projects_created"], len(results["errors"])) == (0, 1)


async def test_users_see_only_what_is_theirs(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    on.tapis.flight(OTHER, "Flight2", owner=BOB)
    mine = await created(on, {"auto_discover": True})
    theirs = await created(on, {"auto_discover": True}, BOB)
    project_id = mine["created_projects"][0]["project_id"]
    (flight,) = (await on.get("/api/flights/")).json()["flights"]

    assert [one["flight_name"] for one in theirs["created_projects"]] == ["Flight2"]
    assert flight["name"] == "Flight1"
    assert (await on.get(f"/api/flights/{flight['flight_id']}", BOB)).status_code == 404
    assert (await on.get(f"/api/flights/{flight['flight_id']}/events", BOB)).status_code == 404
    assert (await on.get("/api/flights/?owner=tester@tacc", BOB)).json()["total"] == 0
    refused = await on.post(f"{STORAGE}/sync-project-images/", {"project_id": project_id}, BOB)
    assert (refused.status_code, refused.json()["success"]) == (404, False)
    operator = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    assert (await on.http.get("/api/flights/", headers=operator)).json()["total"] == 2


async def test_projects_are_listed_newest_first(on: World) -> None:
    for name in ("Flight1", "Flight2"):
        on.tapis.flight(SYSTEM, name)
        await created(on, {"flights": [named(name)]})
    answer = (await on.get(f"{STORAGE}/flight-projects/")).json()

    assert (answer["success"], answer["count"]) == (True, 2)
    assert [one["name"] for one in answer["projects"]] == [f"Flight2 ({SYSTEM})", f"Flight1 ({SYSTEM})"]
    assert answer["projects"][0]["tags"][:4] == ["tapis", "flight", SYSTEM, "Flight2"]
    assert {"id", "description", "created_at", "task_count"} <= answer["projects"][0].keys()


async def test_a_sync_says_what_it_saw(on: World) -> None:
    system = on.tapis.flight(SYSTEM, "Flight1", 3)
    project_id = (await created(on, {"auto_discover": True}))["created_projects"][0]["project_id"]
    same = (await on.post(f"{STORAGE}/sync-project-images/", {"project_id": project_id})).json()
    on.tapis.flight(SYSTEM, "Flight1", 5)
    grown = (await on.post(f"{STORAGE}/sync-project-images/", {"project_id": project_id})).json()

    assert system.id == SYSTEM
    assert (same["success"], "3 images" in same["message"]) == (True, True)
    assert "5 images now" in grown["message"]


async def test_one_system_in_trouble_keeps_no_other_waiting(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    on.tapis.flight(OTHER, "Flight2")
    on.tapis.tapis.faults.switch_on("status", system=OTHER, operation="listFiles", status=403, times=None)
    answer = (await on.post(f"{STORAGE}/discover-flights/")).json()

    assert (answer["success"], [one["flight_name"] for one in answer["flights"]]) == (True, ["Flight1"])
    (error,) = answer["errors"]
    assert error.startswith(f"{OTHER}: ")


async def test_where_no_system_can_be_read_that_is_no_success(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    on.tapis.tapis.faults.switch_on("status", operation="listFiles", status=403, times=None)
    answer = (await on.post(f"{STORAGE}/discover-flights/")).json()

    assert (answer["success"], answer["count"], len(answer["errors"])) == (False, 0, 1)


async def test_tapis_out_of_reach_is_503_and_says_when_to_ask_again(on: World) -> None:
    on.tapis.tapis.faults.switch_on(
        "status", operation="getSystems", status=503, retry_after_s=300, times=None
    )
    answer = await on.get(f"{STORAGE}/systems/")

    assert (answer.status_code, answer.json()["success"]) == (503, False)
    assert int(answer.headers["retry-after"]) == 300


async def test_a_token_that_ends_meanwhile_is_401(on: World) -> None:
    on.tapis.flight(SYSTEM)
    headers = on.as_user()
    on.tapis.tapis.issuer.end_all("access")
    answer = await on.http.get(f"{STORAGE}/systems/", headers=headers)

    assert answer.status_code == 401
    assert "log in again" in answer.json()["error"]


async def test_the_operator_sees_with_the_service_account_or_is_told_that_there_is_none(on: World) -> None:
    answer = await on.http.get(f"{STORAGE}/systems/", headers={"Authorization": f"Bearer {SERVICE_TOKEN}"})

    assert answer.status_code == 401
    assert "FLIGHTLINE_TAPIS_USERNAME" in answer.json()["error"]


async def test_users_may_have_only_tapis_read(on: World, root: Path) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    own = await on.post("/api/discover", {"source": f"tapis://{SYSTEM}/Flight1"})
    others = await on.post("/api/discover", {"source": root.as_uri()})
    events = await on.http.post("/events", json={}, headers=on.as_user())
    nobody = await on.http.post("/events", json={})

    assert (own.status_code, own.json()["flights"][0]["owner"]) == (202, "tester@tacc")
    assert [answer.status_code for answer in (others, events, nobody)] == [403, 403, 401]


async def test_somebody_elses_flight_is_looked_at_and_not_processed_anew(on: World) -> None:
    system = on.tapis.flight(SYSTEM, "Flight1")
    system.shared_with = frozenset({BOB})
    await created(on, {"auto_discover": True})
    await heard(on.platform, FlightFound, at_least=1)
    wish = {"source": f"tapis://{SYSTEM}/Flight1", "options": {"skip_processing": True}}
    asked = await on.post("/api/discover", wish, BOB)
    theirs = await created(on, {"auto_discover": True}, BOB)
    flight_id = asked.json()["flights"][0]["flight_id"]
    shown = await on.get(f"/api/flights/{flight_id}", BOB)
    await asyncio.sleep(0.5)

    assert asked.json()["flights"][0]["wanted"]["skip_processing"] is False
    assert (theirs["projects_created"], shown.status_code) == (1, 200)
    assert await heard(on.platform, FlightFound) == []


async def test_who_finds_somebody_elses_flight_sees_what_becomes_of_it(on: World) -> None:
    """First the own flights, then those of others that one has a project of."""
    on.tapis.flight(SYSTEM, "Flight1").shared_with = frozenset({BOB})
    for name in ("Flight2", "Flight3"):
        on.tapis.flight(OTHER, name, owner=BOB)
    await created(on, {"auto_discover": True})
    before = (await on.get("/api/flights/", BOB)).json()
    await created(on, {"auto_discover": True}, BOB)
    path = "/api/flights/?limit=1&sort=name"
    pages = [(await on.get(path, BOB)).json()]
    while after := pages[-1]["cursor"]:
        pages.append((await on.get(f"{path}&after={quote(after)}", BOB)).json())
    (shared,) = pages[-1]["flights"]
    own = (await on.get("/api/flights/?owner=bob@tacc", BOB)).json()
    others = (await on.get("/api/flights/?owner=tester@tacc&name=Flight1", BOB)).json()

    assert before["total"] == 0
    assert [page["flights"][0]["name"] for page in pages] == ["Flight2", "Flight3", "Flight1"]
    assert {page["total"] for page in pages} == {3}
    assert (shared["owner"], own["total"], others["total"]) == ("tester@tacc", 2, 1)
    assert (await on.get("/api/flights/")).json()["total"] == 1
    streams = (f"/api/flights/{shared['flight_id']}/events", "/api/progress")
    for stream in streams:
        assert shared["flight_id"] in await first_flights(on, stream, BOB)


async def first_flights(on: World, path: str, user: str) -> str:
    """Return a stream as far as the flights that it begins with."""
    said = ""
    async with asyncio.timeout(20), on.http.stream("GET", path, headers=on.as_user(user)) as answer:
        async for line in answer.aiter_lines():
            said += line
            if "Flight1" in line:
                break
    return said


async def test_a_flight_of_a_login_that_is_over_is_401(on: World) -> None:
    headers = on.as_user()
    on.tapis.tapis.issuer.end_all("access")
    answer = await on.http.post("/api/discover", json={"source": f"tapis://{SYSTEM}"}, headers=headers)

    assert answer.status_code == 401


async def test_discovery_starts_while_tapis_is_away(tmp_path: Path) -> None:
    away = {"tapis_url": "http://127.0.0.1:9"}
    async with world(tmp_path / "home", platform_settings=away) as on:
        ready = await on.http.get("/readyz")
        refused = await on.http.get(f"{STORAGE}/systems/", headers=on.as_user())

    assert (ready.status_code, refused.status_code) == (200, 503)


async def test_every_documented_path_is_in_the_api_document(on: World) -> None:
    paths = (await on.http.get("/openapi.json")).json()["paths"]

    assert {f"{STORAGE}/{name}/" for name in (
        "systems", "discover-flights", "create-projects", "flight-projects", "sync-project-images"
    )} <= paths.keys()  # fmt: skip
    assert "/internal/tapis-tokens" not in paths


async def test_without_a_tenant_the_documented_paths_say_so(tmp_path: Path) -> None:
    async with tenant(tmp_path / "home") as (_, platform, _url):
        plain = replace(platform, settings=platform.settings.model_copy(update={"tapis_url": None}))
        async with running_discovery(plain) as discovery:
            answer = await discovery.http.get(f"{STORAGE}/systems/")
            projects = await discovery.http.get(f"{STORAGE}/flight-projects/")

    assert answer.status_code == 404
    assert "FLIGHTLINE_TAPIS_URL" in answer.json()["error"]
    assert projects.json() == {"success": True, "projects": [], "count": 0}
