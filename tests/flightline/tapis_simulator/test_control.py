"""What can be turned over HTTP while the simulator runs, and what it counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from flightline.tapis_simulator.calls import Call, Calls
from tests.support.tapis import USER, TapisServer, tapis_server

IMAGE = "Flight1/code/images/DJI_00001.JPG"


@pytest.fixture
async def server() -> AsyncIterator[TapisServer]:
    async with tapis_server() as running:
        running.flight("sys")
        yield running


@pytest.fixture
async def http(server: TapisServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with server.http() as session:
        yield session


async def status_of(http: aiohttp.ClientSession, method: str, url: str, **more: Any) -> int:
    async with http.request(method, url, **more) as answer:
        return answer.status


async def test_a_rule_comes_into_force_tells_how_often_it_struck_and_goes(
    http: aiohttp.ClientSession,
) -> None:
    fault = {"kind": "status", "status": 429, "retry_after_s": 2}
    rule = {"match": {"system": "sys", "method": "GET"}, "times": 3, "fault": fault}
    async with http.post("/simulator/faults", json=rule) as answer:
        number = (await answer.json())["id"]
    struck = await status_of(http, "GET", "/v3/files/ops/sys/")
    async with http.get("/simulator/faults") as answer:
        told = await answer.json()
    gone = await status_of(http, "DELETE", f"/simulator/faults/{number}")

    assert (struck, gone) == (429, 204)
    assert told == [{"id": number, "struck": 1, **rule}]
    assert await status_of(http, "GET", "/v3/files/ops/sys/") == 200
    assert await status_of(http, "DELETE", f"/simulator/faults/{number}") == 404


async def test_all_rules_can_go_at_once(http: aiohttp.ClientSession) -> None:
    await status_of(http, "POST", "/simulator/faults", json={"fault": {"kind": "reset"}, "times": None})
    await status_of(http, "DELETE", "/simulator/faults")

    assert await status_of(http, "GET", "/v3/systems") == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"fault": {"kind": "earthquake"}},
        {"fault": {"kind": "status", "status": 200}},
        {"fault": {"kind": "reset"}, "match": {"path": "("}},
        {"fault": {"kind": "reset"}, "when": "now"},
        {"fault": {"kind": "reset"}, "times": 0},
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused_with_a_reason(
    http: aiohttp.ClientSession, wrong: dict[str, Any]
) -> None:
    async with http.post("/simulator/faults", json=wrong) as answer:
        assert answer.status == 422
        assert (await answer.json())["error"][0]["msg"]


async def test_calls_are_counted_by_operation_system_and_path(http: aiohttp.ClientSession) -> None:
    for _ in range(2):
        await status_of(http, "GET", f"/v3/files/content/sys/{IMAGE}")
    await status_of(http, "GET", "/v3/files/ops/sys/none")
    async with http.get("/simulator/calls", params={"paths": "true"}) as answer:
        told = await answer.json()

    assert told["by_operation"] == {"getContents": 2, "listFiles": 1}
    assert told["by_system"]["getContents"] == {"sys": 2}
    assert told["statuses"] == {"getContents": {"200": 2}, "listFiles": {"404": 1}}
    assert told["bytes_sent"] == {"getContents": 2000}
    assert {"operation": "getContents", "system": "sys", "path": IMAGE, "times": 2} in told["by_path"]


async def test_counters_can_begin_anew(http: aiohttp.ClientSession) -> None:
    await status_of(http, "GET", "/v3/systems")
    await status_of(http, "DELETE", "/simulator/calls")
    async with http.get("/simulator/calls") as answer:
        assert (await answer.json())["total"] == 0


def test_counters_tell_one_path_of_one_system() -> None:
    calls = Calls()
    for system, path in (("a", "x"), ("a", "x"), ("b", "x"), ("a", "y")):
        with calls.counted(Call("GET", "getContents", "/", system, path)):
            assert calls.in_flight[system] == 1

    assert calls.count("getContents") == 4
    assert calls.count("getContents", system="a") == 3
    assert calls.count("getContents", path="x") == 3
    assert calls.count("getContents", system="a", path="x") == 2


async def test_files_come_and_go(http: aiohttp.ClientSession) -> None:
    url = "/simulator/files/sys/Flight2/code/images/a%20b.jpg"
    put = await status_of(http, "PUT", url, json={"size_bytes": 77, "modified_s": 1_700_000_000})
    async with http.get("/v3/files/ops/sys/Flight2/code/images") as answer:
        (entry,) = (await answer.json())["result"]
    removed = await status_of(http, "DELETE", url)

    assert (put, removed) == (204, 204)
    assert (entry["name"], entry["size"]) == ("a b.jpg", 77)
    assert await status_of(http, "GET", "/v3/files/content/sys/Flight2/code/images/a%20b.jpg") == 404


async def test_many_flights_are_made_by_one_request(http: aiohttp.ClientSession) -> None:
    wanted = {"systems": ["a", "b"], "flights": ["F1", "F2"], "images": 3, "owner": USER}
    assert await status_of(http, "POST", "/simulator/flights", json=wanted) == 204

    async with http.get("/v3/files/ops/b/F2/code/images") as answer:
        assert len((await answer.json())["result"]) == 3


async def test_more_images_than_memory_holds_are_refused(http: aiohttp.ClientSession) -> None:
    wanted = {"systems": ["a", "b"], "flights": ["F1", "F2"], "images": 1_000_000}

    assert await status_of(http, "POST", "/simulator/flights", json=wanted) == 422


async def test_files_of_no_system_are_not_found(http: aiohttp.ClientSession) -> None:
    assert await status_of(http, "PUT", "/simulator/files/none/a.jpg", json={}) == 404


async def test_a_system_is_turned_off(http: aiohttp.ClientSession) -> None:
    turned = await status_of(http, "PATCH", "/simulator/systems/sys", json={"is_enabled": False})

    assert turned == 204
    assert await status_of(http, "GET", "/v3/files/ops/sys/") == 404


async def test_a_system_loses_its_credentials(http: aiohttp.ClientSession) -> None:
    await status_of(http, "PATCH", "/simulator/systems/sys", json={"with_credentials": []})

    assert await status_of(http, "GET", "/v3/files/ops/sys/") == 500


async def test_tokens_get_another_life_span(server: TapisServer, http: aiohttp.ClientSession) -> None:
    await status_of(http, "PATCH", "/simulator/settings", json={"access_ttl_s": 7, "latency_s": 0.01})

    assert server.tapis.issuer.access_ttl_s == 7
    assert server.tapis.pace.latency_s == 0.01


async def test_every_token_ends_at_once(server: TapisServer, http: aiohttp.ClientSession) -> None:
    await status_of(http, "POST", "/simulator/tokens/access/end")
    later = {"X-Tapis-Token": server.tapis.issuer.access_token(USER)}

    assert await status_of(http, "GET", "/v3/systems") == 401
    assert await status_of(http, "GET", "/v3/systems", headers=later) == 200


async def test_a_tenant_gets_another_key(server: TapisServer, http: aiohttp.ClientSession) -> None:
    before = server.tapis.issuer.public_key
    await status_of(http, "POST", "/simulator/tokens/key/rotate")
    later = {"X-Tapis-Token": server.tapis.issuer.access_token(USER)}
    async with http.get(f"/v3/tenants/{server.tapis.tenant}") as answer:
        told = (await answer.json())["result"]["public_key"]

    assert told not in ("", before)
    assert await status_of(http, "GET", "/v3/systems") == 401
    assert await status_of(http, "GET", "/v3/systems", headers=later) == 200


async def test_ten_thousand_images_and_as_many_flights_take_little(server: TapisServer) -> None:
    server.flight("big", images=10_000, size_bytes=5_500_000)
    for number in range(250):
        for flight in range(40):
            system = f"ptdatax.project.{number:03}"
            server.flight(system, f"Flight{flight}", 1)
    async with server.http() as http:
        pages = [
            http.get("/v3/files/ops/big/Flight1/code/images", params={"offset": offset})
            for offset in range(0, 10_000, 1000)
        ]
        answers = [await answer.json() for answer in await asyncio.gather(*pages)]

    assert sum(len(answer["result"]) for answer in answers) == 10_000
    assert len(server.tapis.systems) == 252
