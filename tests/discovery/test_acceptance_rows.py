"""The defects of the integration that users had before, each with what is true now.

Row 5 and row 11 have more tests where files are copied (``tests/ingest``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from discovery.collections import LOGINS
from discovery.domain.logins import Login, digest
from flightline.tapis_simulator.tokens import Issuer
from shared.events import FlightFound
from shared.sources import open_sources, read_flight
from shared.state import Collection
from shared.tapis.api import TapisApi
from shared.tapis.faults import TapisFault
from tests.discovery.conftest import running_discovery
from tests.discovery.listening_in import listening_in
from tests.discovery.tapis import BOB, CLIENT_ID, OWNER, SYSTEM, World, created, world
from tests.support.gateway import running_gateway
from tests.support.listening import heard
from tests.support.tapis import USER
from tests.support.webhook_receiver import webhook_receiver
from tests.support.webodm import webodm_server

STORAGE = "/api/tapis-storage"
STATUS = "/api/oauth2/tapis/status/"
ODD_NAMES = ["a b", "50%#1?x", "ünï, cöde", "it's+1", "Flight,1"]


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home") as opened:
        yield opened


async def found(on: World) -> dict[str, Any]:
    answer = await on.post(f"{STORAGE}/discover-flights/")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def login(on: World) -> Login:
    return (await Collection(on.platform.store, LOGINS, Login).load(digest(OWNER))).body


async def test_row_01_tapis_is_asked_with_its_own_header(on: World) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def note(request: web.Request) -> web.Response:
        seen.append((request.headers.get("X-Tapis-Token"), request.headers.get("Authorization")))
        return web.json_response({"message": "no"}, status=403)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", note)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api = TapisApi(f"http://127.0.0.1:{runner.addresses[0][1]}", "tacc")
    with pytest.raises(TapisFault):
        await api.call("systems", "getSystems", "a.b.c")
    api.close()
    await runner.cleanup()
    on.tapis.flight(SYSTEM)

    assert seen == [("a.b.c", None)]
    assert (await found(on))["count"] == 1


async def test_row_02_the_nested_token_and_its_end_are_kept(on: World) -> None:
    async with on.browser() as browser:
        await on.log_in(browser)
        systems = await browser.get(f"{STORAGE}/systems/")
    kept = await login(on)

    assert systems.status_code == 200
    assert 14_000 < (kept.access_expires_at - datetime.now(UTC)).total_seconds() <= 14_400
    assert kept.refresh_expires_at is not None


async def test_row_03_a_token_that_ends_is_renewed_by_itself_once(on: World) -> None:
    on.tapis.flight(SYSTEM)
    async with on.browser() as browser:
        await on.log_in(browser)
        on.tapis.tapis.calls.reset()
        on.tapis.tapis.faults.switch_on("expire_tokens", operation="listFiles")
        answer = await browser.post(f"{STORAGE}/discover-flights/", headers={"Origin": on.url})

    assert (answer.json()["count"], answer.json()["errors"]) == (1, [])
    assert on.tapis.tapis.calls.count("create_token") == 1


async def test_row_04_systems_shared_with_a_user_are_seen(on: World) -> None:
    shared = on.tapis.flight(SYSTEM, owner=BOB)
    before = await found(on)
    shared.shared_with = frozenset({USER})
    after = await found(on)

    assert (before["count"], after["count"]) == (0, 1)


async def test_row_05_what_is_announced_can_be_read_as_its_owner(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1", 3, size_bytes=5000)
    async with on.browser() as browser:
        await on.log_in(browser)
        await browser.post(
            f"{STORAGE}/create-projects/", json={"auto_discover": True}, headers={"Origin": on.url}
        )
    (event,) = await heard(on.platform, FlightFound, at_least=1)
    others = on.platform.settings.model_copy(update={"discovery_url": on.url})
    async with open_sources(others) as sources:  # as ingest does: with a token that discovery lends
        source = await sources.at(event.data.source, event.data.owner)
        files = await read_flight(source, event.data.images_path)
        async with source.open(files.images[0]) as chunks:
            content = b"".join([chunk async for chunk in chunks])

    assert files.version == event.data.version
    assert len(content) == files.images[0].size_bytes == 5000


async def test_row_06_webodm_gets_a_project_and_no_task_that_must_fail(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        webodm = await stack.enter_async_context(webodm_server(tmp_path / "webodm"))
        given: dict[str, Any] = {
            "webodm_mode": "webodm",
            "webodm_url": webodm.url,
            "webodm_username": "pilot",
            "webodm_password": SecretStr("pilot's"),
        }
        on = await stack.enter_async_context(world(tmp_path / "home", **given))
        on.tapis.flight(SYSTEM, "Flight1")
        results = await created(on)
        (project,) = webodm.projects

    assert [one["project_id"] for one in results["created_projects"]] == [project.id]
    assert (project.name, len(project.tasks)) == (f"Flight1 ({SYSTEM})", 0)


async def test_row_07_a_flight_of_2345_images_is_seen_whole(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight1", 2345, size_bytes=10)
    (flight,) = (await found(on))["flights"]

    assert flight["image_count"] == 2345


async def test_row_08_flight1_does_not_hide_behind_flight10(on: World) -> None:
    for name in ("Flight10", "Flight1,0"):
        on.tapis.flight(SYSTEM, name)
    first = await created(on)
    on.tapis.flight(SYSTEM, "Flight1")
    second = await created(on)
    by_hand = {"flights": [{"system_id": SYSTEM, "images_path": "Flight1/code/images"}]}
    third = await created(on, by_hand)

    assert first["projects_created"] == 2
    assert [one["flight_name"] for one in second["created_projects"]] == ["Flight1"]
    assert (third["projects_created"], third["errors"]) == (0, [])


async def test_row_08_tags_are_a_list_of_single_words(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight 1, second")
    await created(on)
    (project,) = (await on.get(f"{STORAGE}/flight-projects/")).json()["projects"]

    assert project["tags"][:4] == ["tapis", "flight", SYSTEM, "Flight-1-second"]


async def test_row_09_flights_are_named_with_the_documented_fields_alone(on: World) -> None:
    on.tapis.flight(SYSTEM, "Flight001")
    documented = {
        "flight_name": "Flight001",
        "system_id": SYSTEM,
        "images_path": "Flight001/code/images",
        "image_count": 150,
    }
    results = await created(on, {"flights": [documented]})

    assert (results["projects_created"], results["errors"]) == (1, [])
    assert results["created_projects"][0]["image_count"] == 3


async def test_row_10_a_failure_is_never_an_empty_list(on: World) -> None:
    faults = on.tapis.tapis.faults
    on.tapis.flight(SYSTEM)
    number = faults.switch_on("status", operation="getSystems", status=503, retry_after_s=600, times=None)
    answers = await asyncio.gather(
        on.get(f"{STORAGE}/systems/"),
        on.post(f"{STORAGE}/discover-flights/"),
        on.post(f"{STORAGE}/create-projects/", {"auto_discover": True}),
    )
    faults.remove(number)
    faults.switch_on("status", operation="listFiles", status=404, times=None)
    scanned = await created(on, {"auto_discover": True, "systems": [SYSTEM]})

    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert (scanned["systems_scanned"], len(scanned["errors"])) == (0, 1)


async def test_row_11_tapis_is_asked_again_where_that_can_help(on: World) -> None:
    on.tapis.flight(SYSTEM)
    for status in (429, 500, 503):
        on.tapis.tapis.faults.switch_on("status", operation="listFiles", status=status, retry_after_s=0.05)
    on.tapis.tapis.faults.switch_on("reset", operation="listFiles")

    assert (await found(on))["errors"] == []


async def test_row_12_a_flight_that_still_grows_is_not_announced(tmp_path: Path) -> None:
    async with world(tmp_path / "home", settle=0.4) as on:
        on.tapis.flight(SYSTEM, "Flight1", 1)
        await created(on)
        for count in range(2, 12):
            await asyncio.sleep(0.1)
            on.tapis.flight(SYSTEM, "Flight1", count)
        events = await heard(on.platform, FlightFound, at_least=1)

    assert [event.data.image_count for event in events] == [11]


async def test_row_12_a_marked_flight_is_announced_when_it_is_marked(tmp_path: Path) -> None:
    async with world(tmp_path / "home", settle=0.1, ready_marker="READY") as on:
        system = on.tapis.flight(SYSTEM, "Flight1", 2)
        await created(on)
        await asyncio.sleep(0.6)
        early = await heard(on.platform, FlightFound)
        system.files.add("Flight1/code/READY", 1, 1_700_000_000)
        (event,) = await heard(on.platform, FlightFound, at_least=1)

    assert (early, event.data.image_count) == ([], 2)


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_row_13_any_name_can_be_listed(on: World, name: str) -> None:
    on.tapis.flight(SYSTEM, name)
    (flight,) = (await found(on))["flights"]
    results = await created(on)

    assert flight["flight_name"] == name
    assert (results["projects_created"], results["errors"]) == (1, [])


async def test_row_14_preferences_are_read(tmp_path: Path) -> None:
    async with (
        webhook_receiver() as receiver,
        world(tmp_path / "home", allow_private_urls=True) as on,
    ):
        for number in range(3):
            on.tapis.flight(SYSTEM, f"Flight{number}")
        on.tapis.flight("ptdatax.project.other", "Flight9")
        preferred = {
            "max_projects_per_discovery": 1,
            "preferred_systems": [SYSTEM],
            "notify_on_discovery": True,
            "notify_webhook": f"{receiver.url}/ann",
        }
        await on.post("/api/tapis-preferences/", preferred)
        results = await created(on)
        (told,) = await receiver.wait(1)

    assert (results["systems_scanned"], results["projects_created"]) == (1, 1)
    assert (told.path, told.payload["occasion"]) == ("/ann", "found")


async def test_row_15_no_token_is_logged_or_answered(on: World, capfd: pytest.CaptureFixture[str]) -> None:
    on.tapis.flight(SYSTEM)
    said: list[str] = []
    async with on.browser() as browser:
        answer = await on.log_in(browser)
        said.append(str(answer.headers))
        said += [(await browser.get(path)).text for path in (STATUS, f"{STORAGE}/systems/")]
        on.tapis.tapis.faults.switch_on("expire_tokens", operation="listFiles")
        origin = {"Origin": on.url}
        said.append((await browser.post(f"{STORAGE}/discover-flights/", headers=origin)).text)
        on.tapis.tapis.issuer.end_all("refresh")
        said.append((await browser.post(f"/api/oauth2/tapis/refresh/{CLIENT_ID}/", headers=origin)).text)
    said.append((await on.http.get(f"{STORAGE}/systems/", headers={"X-Tapis-Token": "eyJhbGciOi.x.y"})).text)
    logged = capfd.readouterr()

    assert "login.renewed" in logged.out + logged.err
    assert "eyJ" not in "".join((*said, logged.out, logged.err))


async def test_row_15_a_login_is_bound_to_its_browser_and_leads_nowhere_else(on: World) -> None:
    async with on.browser() as mine, on.browser() as theirs:
        callback = await on.to_callback(theirs)
        forced = await mine.get(callback)
    elsewhere = await on.http.get(
        f"/api/oauth2/tapis/authorize/{CLIENT_ID}/", params={"redirect_after": "https://evil.example.org"}
    )

    assert (forced.status_code, elsewhere.status_code) == (400, 400)


async def test_row_16_nobody_but_tapis_is_sent_a_users_token(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        webodm = await stack.enter_async_context(webodm_server(tmp_path / "webodm"))
        url, sent = await stack.enter_async_context(listening_in(webodm.url))
        given: dict[str, Any] = {
            "webodm_mode": "webodm",
            "webodm_url": url,
            "webodm_username": "pilot",
            "webodm_password": SecretStr("pilot's"),
        }
        on = await stack.enter_async_context(world(tmp_path / "home", **given))
        on.tapis.flight(SYSTEM, "Flight1")
        headers = on.as_user()
        wish = {"auto_discover": True}
        made = await on.http.post(f"{STORAGE}/create-projects/", json=wish, headers=headers)
        (event,) = await heard(on.platform, FlightFound, at_least=1)
        told = event.model_dump_json()
        token = headers["X-Tapis-Token"]

    assert made.json()["results"]["projects_created"] == 1
    assert b"POST /api/projects/" in sent
    assert token.encode() not in sent
    assert token not in told


async def test_row_16_a_node_takes_images_one_by_one_and_keeps_a_users_token_to_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The origin sends its users' tokens along with every request to a node."""
    token = Issuer("tacc", 60, 60).access_token(USER)
    async with running_gateway(tmp_path) as gateway:
        gateway.http.params = gateway.http.params.set("token", token)
        uuid = (await gateway.post("/task/new/init", files={"name": (None, "Flight1")}))["uuid"]
        names = [f"{number}.jpg" for number in range(4)]
        uploads = [
            gateway.post(f"/task/new/upload/{uuid}", files=[("images", (name, name.encode()))])
            for name in names
        ]
        said: list[Any] = await asyncio.gather(*uploads)
        said.append(await gateway.post(f"/task/new/commit/{uuid}"))
        ended = await gateway.finished(uuid)
        said += [ended, await gateway.get(f"/task/{uuid}/output"), await gateway.get("/task/nobodys/info")]
        kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    logged = capfd.readouterr()

    assert (ended["status"]["code"], ended["imagesCount"]) == (40, 4)
    assert "service.started" in logged.out + logged.err
    assert token not in f"{said}{logged.out}{logged.err}"
    assert not any(token.encode() in content for content in kept)


async def test_ten_replicas_that_look_at_once_announce_once(tmp_path: Path) -> None:
    async with world(tmp_path / "home") as on, AsyncExitStack() as stack:
        for name in ("Flight1", "Flight2"):
            on.tapis.flight(SYSTEM, name)
        replicas = [
            await stack.enter_async_context(running_discovery(on.platform, public_url=on.url))
            for _ in range(9)
        ]
        headers = on.as_user()
        asked = [
            one.http.post(f"{STORAGE}/create-projects/", json={"auto_discover": True}, headers=headers)
            for one in (on.discovery, *replicas)
        ]
        answers = await asyncio.gather(*asked)
        events = await heard(on.platform, FlightFound, at_least=2)
        await asyncio.sleep(0.5)
        events += await heard(on.platform, FlightFound)

    assert sum(answer.json()["results"]["projects_created"] for answer in answers) == 2
    once = {event.id: event.data.name for event in events}  # who relays at the same moment tells it twice
    assert sorted(once.values()) == ["Flight1", "Flight2"]
