"""What users prefer, and discovery that nobody waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shared.events import FlightFound
from tests.discovery.tapis import BOB, SYSTEM, World, created, world
from tests.support.listening import heard
from tests.support.tapis import PASSWORD, USER

OTHER = "ptdatax.project.PTDATAX-2"
PREFERENCES = "/api/tapis-preferences/"


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home") as opened:
        yield opened


async def test_preferences_are_kept_and_what_is_not_named_stays(on: World) -> None:
    before = (await on.get(PREFERENCES)).json()["preferences"]
    await on.post(PREFERENCES, {"max_projects_per_discovery": 7, "preferred_systems": [SYSTEM]})
    after = (await on.post(PREFERENCES, {"notify_on_errors": True})).json()["preferences"]
    others = (await on.get(PREFERENCES, BOB)).json()["preferences"]

    assert (before["max_projects_per_discovery"], before["discovery_cooldown_hours"]) == (50, 24)
    assert (before["can_run_discovery"], before["last_auto_discovery"]) == (True, None)
    assert (after["max_projects_per_discovery"], after["notify_on_errors"]) == (7, True)
    assert after["preferred_systems"] == [SYSTEM]
    assert others == before


@pytest.mark.parametrize(
    "body",
    [
        {"max_projects_per_discovery": 0},
        {"max_projects_per_discovery": "many"},
        {"discovery_cooldown_hours": -1},
        {"preferred_systems": ["some.other.system"]},
        {"preferred_systems": "ptdatax.project.x"},
        {"notify_email": "ann@example.org\nBcc: all@example.org"},
        {"notify_webhook": "file:///etc/passwd"},
        {"auto_discover_on_login": "perhaps"},
        {"surprise": 1},
        {"can_run_discovery": True},
        [],
    ],
)
async def test_a_bad_preference_is_400_and_changes_nothing(on: World, body: Any) -> None:
    answer = await on.post(PREFERENCES, body)

    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert (await on.get(PREFERENCES)).json()["preferences"]["max_projects_per_discovery"] == 50


async def test_no_more_projects_are_made_than_preferred(on: World) -> None:
    for number in range(5):
        on.tapis.flight(SYSTEM, f"Flight{number}")
    await on.post(PREFERENCES, {"max_projects_per_discovery": 2})
    made = [await created(on, {"auto_discover": True}) for _ in range(3)]

    assert [results["projects_created"] for results in made] == [2, 2, 1]
    assert [len(results["existing_projects"]) for results in made] == [0, 2, 4]
    assert made[0]["errors"] == [
        "3 more flights are to become projects next time: max_projects_per_discovery is 2"
    ]


async def test_only_preferred_systems_are_looked_at(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    on.tapis.flight(OTHER, "Flight2")
    await on.post(PREFERENCES, {"preferred_systems": [OTHER]})
    results = await created(on, {"auto_discover": True})

    assert [one["flight_name"] for one in results["created_projects"]] == ["Flight2"]
    assert on.tapis.tapis.calls.count("listFiles", system=SYSTEM) == 0


async def settled(on: World, user: str = USER) -> dict[str, Any]:
    """Wait until a discovery that nobody waited for is over."""
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        preferences: dict[str, Any] = (await on.get(PREFERENCES, user)).json()["preferences"]
        if preferences["last_outcome"]:
            return preferences
        await asyncio.sleep(0.05)
    raise AssertionError("no discovery took place")


async def test_a_discovery_can_be_triggered_once_per_cooldown(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    first = await on.post("/api/tapis-discovery/trigger/")
    after = await settled(on)
    second = await on.post("/api/tapis-discovery/trigger/")
    await on.post(PREFERENCES, {"discovery_cooldown_hours": 0})
    third = await on.post("/api/tapis-discovery/trigger/")

    assert (first.status_code, first.json()["success"]) == (202, True)
    assert (after["last_outcome"]["projects_created"], after["can_run_discovery"]) == (1, False)
    assert (second.status_code, third.status_code) == (429, 202)
    assert 86_000 < int(second.headers["retry-after"]) <= 86_400


async def test_who_wants_it_has_flights_looked_for_after_a_login(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    await on.post(PREFERENCES, {"auto_discover_on_login": True})
    async with on.browser() as browser:
        await on.log_in(browser)
    after = await settled(on)
    (event,) = await heard(on.platform, FlightFound, at_least=1)

    assert after["last_outcome"]["flights_discovered"] == 1
    assert event.data.name == "Flight1"


async def test_who_does_not_want_it_has_nothing_looked_for(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1")
    async with on.browser() as browser:
        await on.log_in(browser)
    await asyncio.sleep(0.5)

    assert on.tapis.tapis.calls.count("listFiles") == 0


async def test_a_discovery_that_could_not_look_does_not_begin_the_cooldown(on: World) -> None:
    headers = on.as_user()
    on.tapis.tapis.issuer.end_all("access")
    await on.http.post("/api/tapis-discovery/trigger/", headers=headers)
    after = await settled(on)

    assert "log in again" in after["last_outcome"]["errors"][0]
    assert (after["last_auto_discovery"], after["can_run_discovery"]) == (None, True)


async def test_the_service_account_looks_by_itself_whatever_nobody_asks(tmp_path: Path) -> None:
    account = {"tapis_username": USER, "tapis_password": SecretStr(PASSWORD)}
    async with world(tmp_path / "home", platform_settings=account, tapis_scan_every=0.5) as on:
        on.tapis.flight(SYSTEM, "Flight1")
        (event,) = await heard(on.platform, FlightFound, at_least=1)
        mine = await created(on, {"auto_discover": True})
        (flight,) = (await on.get("/api/flights/")).json()["flights"]

    assert (event.data.name, event.data.owner) == ("Flight1", "")
    assert mine["projects_created"] == 1
    assert flight["owner"] == "tester@tacc"
