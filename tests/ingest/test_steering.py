"""Pause, resume, cancel and retry over HTTP, while files are on their way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ingest.config import Settings
from ingest.main import create_app
from shared.events import FlightFound, ImagesStaged, TaskCompleted, new_event
from shared.platform import Platform
from shared.service.serving import serving
from tests.ingest.conftest import Ingest, found_by_discovery, opened
from tests.support.listening import heard
from tests.support.tapis import PASSWORD, USER, TapisServer, tapis_server

SYSTEM = "ptdatax.project.one"
FLIGHT = {
    "flight_id": "f",
    "version": "1",
    "name": "Flight1",
    "source": f"tapis://{SYSTEM}/Flight1",
    "system_id": SYSTEM,
    "images_path": "code/images",
    "image_count": 40,
    "total_bytes": 40_000_000,
}


@asynccontextmanager
async def ingest_api(on: Platform, **settings: Any) -> AsyncIterator[tuple[Ingest, httpx.AsyncClient]]:
    chosen = Settings(port=0, **settings)
    async with (
        serving(create_app(chosen, on), chosen) as url,
        httpx.AsyncClient(base_url=f"{url}/api/transfers/", timeout=20) as http,
    ):
        yield Ingest(on), http


@pytest.fixture
async def tapis() -> AsyncIterator[TapisServer]:
    """Tapis with a flight of forty images, which come slowly."""
    async with tapis_server() as server:
        server.flight(SYSTEM, images=40, size_bytes=1_000_000)
        server.tapis.systems[SYSTEM].latency_s = 0.1
        yield server


@pytest.fixture
async def on(tapis: TapisServer, tmp_path: Path) -> AsyncIterator[Platform]:
    async with opened(tmp_path / "home", **reading(tapis)) as platform:
        yield platform


def reading(tapis: TapisServer) -> dict[str, Any]:
    """Return the settings with which a service account reads from a simulator."""
    return {
        "tapis_url": tapis.url,
        "tapis_tenant": tapis.tapis.tenant,
        "tapis_username": USER,
        "tapis_password": SecretStr(PASSWORD),
    }


def ask(**more: Any) -> Any:
    return new_event("elsewhere", FlightFound.model_validate({**FLIGHT, **more}))


async def until(http: httpx.AsyncClient, wanted: Any, within_s: float = 40) -> dict[str, Any]:
    """Return the transfer once it is as wanted."""
    async with asyncio.timeout(within_s):
        while True:
            answer = await http.get("f.1")
            if answer.status_code == 200 and wanted(found := answer.json()):
                return dict(found)
            await asyncio.sleep(0.05)


async def post(http: httpx.AsyncClient, action: str, transfer: str = "f.1") -> httpx.Response:
    return await http.post(f"{transfer}/{action}")


async def calls_once_quiet(tapis: TapisServer) -> int:
    """Return how often files were read, once none was for half a second."""
    before = -1
    async with asyncio.timeout(30):
        while before != (before := tapis.tapis.calls.count("getContents")):
            await asyncio.sleep(0.5)
    return before


async def test_a_transfer_is_paused_in_the_middle_and_goes_on_there(on: Platform, tapis: TapisServer) -> None:
    tapis.tapis.systems[SYSTEM].latency_s = 0.3  # forty files, two at a time: six seconds
    async with ingest_api(on, files_at_once=2) as (ingest, http):
        await ingest.tell(ask())
        under_way = await until(http, lambda found: found["files_done"] >= 5)
        codes = [(await post(http, "pause")).status_code for _ in range(2)]
        read = await calls_once_quiet(tapis)
        stopped = await until(http, lambda _: True)
        resumed = [(await post(http, "resume")).json()["state"] for _ in range(2)]
        event = await ingest.staged()

    assert under_way["state"] == "copying"
    assert under_way["bytes_per_s"] > 0
    assert under_way["eta_s"] > 0
    assert (codes, stopped["state"]) == ([200, 200], "paused")
    assert read < 40
    assert resumed == ["copying", "copying"]
    assert event.data.image_count == 40
    assert tapis.tapis.calls.count("getContents") <= 40 + 8


async def test_a_canceled_transfer_leaves_nothing_and_can_be_asked_for_again(on: Platform) -> None:
    async with ingest_api(on) as (ingest, http):
        await ingest.tell(ask())
        await until(http, lambda found: found["files_done"] >= 3)
        codes = [(await post(http, "cancel")).status_code for _ in range(2)]
        (told,) = await heard(on, TaskCompleted, at_least=1)
        await until_empty(ingest)
        late = [(await post(http, action)).status_code for action in ("pause", "resume", "retry-failed")]
        await ingest.tell(ask(rerun=1))
        event = await ingest.staged()

    assert (codes, late) == ([200, 200], [409, 409, 409])
    assert (told.data.status, told.data.flight_id) == ("canceled", "f")
    assert (event.data.image_count, event.data.rerun) == (40, 1)


async def until_empty(ingest: Ingest) -> None:
    async with asyncio.timeout(20):
        while await ingest.journal.count({"transfer": "f.1"}) or [
            item async for item in ingest.platform.objects.list("staging/")
        ]:
            await asyncio.sleep(0.1)


async def test_what_failed_is_retried_where_it_stopped(on: Platform, tapis: TapisServer) -> None:
    fault = tapis.tapis.faults.switch_on(
        "status", times=None, status=404, operation="getContents", path="DJI_0000[1-9]"
    )
    async with ingest_api(on) as (ingest, http):
        await ingest.tell(ask())
        broken = await until(http, lambda found: found["state"] == "failed", within_s=80)
        tapis.tapis.faults.remove(fault)
        tapis.tapis.calls.reset()
        codes = [(await post(http, "retry-failed")).status_code for _ in range(2)]
        event = await ingest.staged()
        late = await post(http, "retry-failed")

    assert "9 of 9 files failed" in broken["error"]
    assert "given up after 4 attempts" in broken["error"]
    assert (codes, late.status_code) == ([200, 200], 409)
    assert event.data.image_count == 40
    assert tapis.tapis.calls.count("getContents") == 9


async def test_steering_needs_the_token(on: Platform) -> None:
    token = {"Authorization": "Bearer t0ken"}
    async with ingest_api(on, token=SecretStr("t0ken")) as (ingest, http):
        await ingest.tell(ask())
        await ingest.transfer(where="copying")
        refused = [(await post(http, action)).status_code for action in ACTIONS]
        allowed = await http.post("f.1/pause", headers=token)

    assert (refused, allowed.status_code) == ([401] * 4, 200)


ACTIONS = ("pause", "resume", "cancel", "retry-failed")


async def test_nobody_s_transfer_cannot_be_steered(on: Platform) -> None:
    async with ingest_api(on) as (_, http):
        assert [(await post(http, action, "nobody")).status_code for action in ACTIONS] == [404] * 4


async def test_transfers_are_filtered_and_sorted(platform: Platform, tmp_path: Path) -> None:
    async with ingest_api(platform) as (ingest, http):
        for number, (name, owner) in enumerate([("b", "ann"), ("a", "bob"), ("c", "ann")]):
            folder = tmp_path / name
            folder.mkdir()
            for image in range(number + 1):
                (folder / f"{image}.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x02%d\xff\xd9" % image)
            await ingest.tell(await found_by_discovery(folder, owner=owner, system_id=f"disk-{number}"))
            (event,) = await heard(platform, ImagesStaged, at_least=1)
        found = {query: await names(http, query) for query in WANTED}
        unknown = [(await http.get(query)).status_code for query in ("?state=done", "?sort=size")]

    assert found == WANTED
    assert unknown == [422, 422]
    assert event.data.name == "c"


WANTED = {
    "?sort=name": ["a", "b", "c"],
    "?sort=-bytes_total": ["c", "a", "b"],
    "?owner=ann&sort=name": ["b", "c"],
    "?system_id=disk-1": ["a"],
    "?state=failed&state=paused": [],
    "?state=staged&owner=bob": ["a"],
    "": ["c", "a", "b"],
}


async def names(http: httpx.AsyncClient, query: str) -> list[str]:
    answer = await http.get(query)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["transfers"]]
