"""What the users' document shows, asked for as it shows it: each field of each request and of each answer."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.discovery.tapis import CLIENT_ID, World, world

STORAGE = "/api/tapis-storage"
SYSTEM = "ptdatax.project.example"
OTHER = "ptdatax.project.system2"
FLIGHT = {
    "flight_name": "Flight001",
    "system_id": SYSTEM,
    "images_path": "Flight001/code/images",
    "image_count": 150,
}
SYSTEMS_ANSWER = {
    "success": True,
    "systems": [
        {
            "id": SYSTEM,
            "host": "data.tacc.utexas.edu",
            "systemType": "LINUX",
            "description": "Project data system",
            "created": "2024-01-01T00:00:00Z",
        }
    ],
    "count": 1,
}
FLIGHTS_ANSWER = {
    "success": True,
    "flights": [FLIGHT | {"discovered_at": "2024-01-01T12:00:00"}],
    "count": 1,
}
PROJECT = {
    "project_id": 123,
    "project_name": f"Flight001 ({SYSTEM})",
    "flight_name": "Flight001",
    "system_id": SYSTEM,
    "image_count": 150,
}
PROJECTS_ANSWER = {
    "success": True,
    "results": {
        "systems_scanned": 2,
        "flights_discovered": 3,
        "projects_created": 2,
        "errors": [],
        "created_projects": [PROJECT],
    },
}
STYLES = pytest.mark.parametrize("name", [str, lambda text: text.replace("-", "_")], ids=["-", "_"])


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home") as opened:
        opened.tapis.flight(SYSTEM, "Flight001", 150, size_bytes=10)
        yield opened


def bearer(on: World) -> dict[str, str]:
    """Return the header of the document's examples."""
    return {"Authorization": f"Bearer {on.as_user()['X-Tapis-Token']}"}


async def asked(on: World, method: str, path: str, body: Any = None) -> Any:
    answer = await on.http.request(method, path, json=body, headers=bearer(on))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
    return answer.json()


def unlike(documented: Any, answered: Any, at: str = "answer") -> list[str]:
    """Return where an answer lacks what the document shows, or has another kind of thing there."""
    if type(documented) is not type(answered):
        return [f"{at}: {answered!r} is no {type(documented).__name__}"]
    if isinstance(documented, dict):
        missing = [f"{at}.{name} is missing" for name in documented if name not in answered]
        here = [name for name in documented if name in answered]
        return missing + [
            one for name in here for one in unlike(documented[name], answered[name], f"{at}.{name}")
        ]
    if isinstance(documented, list) and documented:
        found = [one for entry in answered for one in unlike(documented[0], entry, f"{at}[]")]
        return found if answered else [f"{at} is empty"]
    return []


def test_what_is_missing_or_of_another_kind_is_noticed() -> None:
    assert unlike({"a": 1, "b": [{"c": ""}]}, {"a": "1", "b": [{}]}) == [
        "answer.a: '1' is no int",
        "answer.b[].c is missing",
    ]
    assert unlike(SYSTEMS_ANSWER, SYSTEMS_ANSWER | {"more": 1}) == []


async def test_systems(on: World) -> None:
    answer = await asked(on, "GET", f"{STORAGE}/systems/")
    (system,) = answer["systems"]
    kept = on.tapis.tapis.systems[SYSTEM]

    assert unlike(SYSTEMS_ANSWER, answer) == []
    assert (answer["success"], answer["count"]) == (True, 1)
    assert (system["id"], system["host"], system["systemType"]) == (SYSTEM, kept.host, "LINUX")
    assert system["description"] == kept.description
    assert datetime.fromisoformat(system["created"]) <= datetime.now(UTC)


@STYLES
async def test_discover_flights(on: World, name: Any) -> None:
    on.tapis.flight(OTHER, "Flight002", 2)
    path = f"{STORAGE}/{name('discover-flights')}/"
    everywhere = await asked(on, "POST", path)
    some = await asked(on, "POST", path, {"systems": [SYSTEM]})
    (flight,) = some["flights"]
    found_at = datetime.fromisoformat(flight.pop("discovered_at"))

    assert unlike(FLIGHTS_ANSWER, everywhere) == []
    assert [(one["flight_name"], one["system_id"]) for one in everywhere["flights"]] == [
        ("Flight001", SYSTEM),
        ("Flight002", OTHER),
    ]
    assert (everywhere["success"], everywhere["count"]) == (True, 2)
    assert (some["success"], some["count"]) == (True, 1)
    assert flight.items() >= FLIGHT.items()
    assert abs(datetime.now(UTC) - found_at) < timedelta(minutes=5)


@STYLES
async def test_create_projects_of_all_flights(on: World, name: Any) -> None:
    on.tapis.flight(OTHER, "Flight002", 2)
    answer = await asked(on, "POST", f"{STORAGE}/{name('create-projects')}/", {"auto_discover": True})
    results = answer["results"]
    by_flight = {one["flight_name"]: one for one in results["created_projects"]}

    assert unlike(PROJECTS_ANSWER, answer) == []
    assert answer["success"] is True
    assert [results[key] for key in ("systems_scanned", "flights_discovered", "projects_created")] == [2] * 3
    assert results["errors"] == []
    assert {one["project_id"] for one in by_flight.values()} == {1, 2}
    assert by_flight["Flight001"] | {"project_id": 123} == PROJECT


@STYLES
async def test_create_projects_of_flights_that_are_named(on: World, name: Any) -> None:
    on.tapis.flight(SYSTEM, "Flight002", 2)
    body = {"flights": [FLIGHT]}
    answer = await asked(on, "POST", f"{STORAGE}/{name('create-projects')}/", body)
    results = answer["results"]

    assert unlike(PROJECTS_ANSWER, answer) == []
    assert [results[key] for key in ("systems_scanned", "flights_discovered", "projects_created")] == [1] * 3
    assert [one["project_name"] for one in results["created_projects"]] == [f"Flight001 ({SYSTEM})"]


@STYLES
async def test_flight_projects(on: World, name: Any) -> None:
    before = datetime.now(UTC)
    await asked(on, "POST", f"{STORAGE}/create-projects/", {"flights": [FLIGHT]})
    answer = await asked(on, "GET", f"{STORAGE}/{name('flight-projects')}/")
    (project,) = answer["projects"]

    assert (project["id"], project["name"]) == (1, f"Flight001 ({SYSTEM})")
    assert project["tags"][:4] == ["tapis", "flight", SYSTEM, "Flight001"]
    for part in ("Flight001", SYSTEM, "Flight001/code/images", "150"):
        assert part in project["description"]
    assert re.search(r"20\d\d-\d\d-\d\d", project["description"])
    assert before <= datetime.fromisoformat(project["created_at"]) <= datetime.now(UTC)
    assert isinstance(project["task_count"], int)


@STYLES
async def test_sync_project_images(on: World, name: Any) -> None:
    await asked(on, "POST", f"{STORAGE}/create-projects/", {"flights": [FLIGHT]})
    answer = await asked(on, "POST", f"{STORAGE}/{name('sync-project-images')}/", {"project_id": 1})

    assert answer["success"] is True
    assert "Flight001" in answer["message"]
    assert "150 images" in answer["message"]


async def test_authorize_as_the_document_begins(on: World) -> None:
    """``curl -X POST``, without a token."""
    begun = await on.http.post(f"/api/oauth2/tapis/authorize/{CLIENT_ID}/")
    gone = await on.http.get(begun.json()["authorization_url"])

    assert (begun.status_code, begun.json()["success"]) == (200, True)
    assert (gone.status_code, gone.headers["location"].partition("?")[0]) == (
        302,
        f"{on.tapis.url}/v3/oauth2/authorize",
    )


async def test_without_a_token_every_path_says_log_in(on: World) -> None:
    posted = ("discover-flights", "create-projects", "sync-project-images")
    paths = [("GET", "systems"), ("GET", "flight-projects"), *(("POST", path) for path in posted)]
    paths += [(method, path.replace("-", "_")) for method, path in paths if "-" in path]
    for method, path in paths:
        body = None if method == "GET" else {"auto_discover": True, "project_id": 1}
        answer = await on.http.request(method, f"{STORAGE}/{path}/", json=body)

        assert (answer.status_code, answer.json().get("success")) == (401, False), path
        assert "/api/oauth2/tapis/authorize/" in answer.json()["error"]
