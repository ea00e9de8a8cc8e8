"""Every fault that can be switched on, as clients meet it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from tests.support.tapis import TapisServer, blocking, refused, tapis_server

IMAGES = "Flight1/code/images"
IMAGE = f"{IMAGES}/DJI_00001.JPG"
CONTENT: dict[str, Any] = {"operation": "getContents"}
LISTING: dict[str, Any] = {"operation": "listFiles"}


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Expect the simulator to have no trouble of its own."""
    yield
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.fixture
async def server() -> AsyncIterator[TapisServer]:
    async with tapis_server() as running:
        running.flight("sys", size_bytes=100_000)
        yield running


@pytest.fixture
async def http(server: TapisServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with server.http() as session:
        yield session


@pytest.fixture
async def client(server: TapisServer) -> Any:
    return await server.logged_in()


async def listed(client: Any, **query: Any) -> list[str]:
    page = await blocking(client.files.listFiles, systemId="sys", path=IMAGES, **query)
    return [entry.name for entry in page]


async def downloaded(server: TapisServer, http: aiohttp.ClientSession) -> bytes:
    async with http.get(server.content_url("sys", IMAGE)) as answer:
        assert answer.status == 200
        return await answer.read()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, "UnauthorizedError"),
        (403, "ForbiddenError"),
        (404, "NotFoundError"),
        (429, "BaseTapyException"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailableError"),
    ],
)
async def test_an_error_is_answered_as_often_as_wanted(
    server: TapisServer, client: Any, status: int, error: str
) -> None:
    server.tapis.faults.switch_on("status", status=status, times=2, **LISTING)

    for _ in range(2):
        with refused(error):
            await listed(client)

    assert len(await listed(client)) == 3


async def test_a_throttled_client_is_told_how_long_to_wait(
    server: TapisServer, http: aiohttp.ClientSession
) -> None:
    server.tapis.faults.switch_on("status", status=429, retry_after_s=2, **CONTENT)
    async with http.get(server.content_url("sys", IMAGE)) as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "2"
        assert (await answer.json())["status"] == "Too Many Requests"


async def test_a_fault_spares_what_it_does_not_match(server: TapisServer, client: Any) -> None:
    faults = server.tapis.faults
    faults.switch_on("status", path="Flight2", **LISTING)
    faults.switch_on("status", system="other")
    faults.switch_on("status", method="POST", operation="getSystems")

    assert len(await listed(client)) == 3


async def test_a_fault_can_spare_the_first_requests_and_last_for_ever(
    server: TapisServer, client: Any
) -> None:
    server.tapis.faults.switch_on("status", after=1, times=None, **LISTING)
    await listed(client)

    for _ in range(3):
        with refused("ServiceUnavailableError"):
            await listed(client)


async def test_a_hanging_server_gives_no_answer(server: TapisServer, http: aiohttp.ClientSession) -> None:
    server.tapis.faults.switch_on("hang", **CONTENT)

    with pytest.raises(asyncio.TimeoutError):
        await http.get(server.content_url("sys", IMAGE), timeout=aiohttp.ClientTimeout(0.2))


async def test_a_delayed_answer_is_whole(server: TapisServer, http: aiohttp.ClientSession) -> None:
    server.tapis.faults.switch_on("delay", seconds=0.2, **CONTENT)
    began = time.monotonic()

    assert len(await downloaded(server, http)) == 100_000
    assert time.monotonic() - began >= 0.2


async def test_a_reset_connection_gives_no_answer(server: TapisServer, http: aiohttp.ClientSession) -> None:
    server.tapis.faults.switch_on("reset", times=None, **CONTENT)

    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get(server.content_url("sys", IMAGE))


async def test_a_dripping_body_takes_its_time(server: TapisServer, http: aiohttp.ClientSession) -> None:
    server.tapis.faults.switch_on("drip", bytes_per_s=200_000, **CONTENT)
    began = time.monotonic()

    assert len(await downloaded(server, http)) == 100_000
    assert time.monotonic() - began >= 0.4


async def test_a_client_can_tell_that_a_chunked_body_was_cut(
    server: TapisServer, http: aiohttp.ClientSession
) -> None:
    server.tapis.faults.switch_on("cut", at_bytes=5000, **CONTENT)

    with pytest.raises(aiohttp.ClientPayloadError):
        await downloaded(server, http)


async def test_a_client_cannot_tell_that_an_unframed_body_was_cut(
    server: TapisServer, http: aiohttp.ClientSession
) -> None:
    server.tapis.faults.switch_on("eof", at_bytes=5000, times=2, **CONTENT)

    assert len(await downloaded(server, http)) == 5000


async def test_tapipy_takes_an_unframed_body_that_was_cut_for_whole(server: TapisServer, client: Any) -> None:
    server.tapis.faults.switch_on("eof", at_bytes=5000, **CONTENT)

    assert len(await blocking(client.files.getContents, systemId="sys", path=IMAGE)) == 5000


@pytest.mark.parametrize("more", [-1, -60_000, 1, 70_000])
async def test_a_file_of_the_wrong_size_is_framed_well(
    server: TapisServer, http: aiohttp.ClientSession, more: int
) -> None:
    server.tapis.faults.switch_on("wrong_size", bytes=more, **CONTENT)

    assert len(await downloaded(server, http)) == 100_000 + more


async def test_wrong_content_has_the_right_size(server: TapisServer, http: aiohttp.ClientSession) -> None:
    right = await downloaded(server, http)
    server.tapis.faults.switch_on("wrong_content", **CONTENT)
    wrong = await downloaded(server, http)

    assert len(wrong) == len(right)
    assert wrong != right


async def test_a_file_replaced_meanwhile_is_half_the_old_and_half_the_new(
    server: TapisServer, http: aiohttp.ClientSession
) -> None:
    old = await downloaded(server, http)
    server.tapis.faults.switch_on("replace", **CONTENT)
    mixed = await downloaded(server, http)
    new = await downloaded(server, http)

    assert mixed == old[:50_000] + new[50_000:]
    entry = server.tapis.systems["sys"].files.stat(IMAGE)
    assert entry is not None
    assert entry.modified_s == 1_718_180_002


async def test_a_file_can_be_replaced_by_a_longer_one(
    server: TapisServer, http: aiohttp.ClientSession
) -> None:
    server.tapis.faults.switch_on("replace", size_bytes=120_000, **CONTENT)

    assert len(await downloaded(server, http)) == 120_000


async def test_a_file_that_appears_shifts_the_next_page(server: TapisServer, client: Any) -> None:
    first = await listed(client, limit=2)
    server.tapis.faults.switch_on("appear", **LISTING)
    second = await listed(client, limit=2, offset=2)

    assert second == ["DJI_00002.JPG", "DJI_00003.JPG"]
    assert first[1] == second[0]


async def test_a_file_that_vanishes_makes_the_next_page_skip_one(server: TapisServer, client: Any) -> None:
    first = await listed(client, limit=2)
    server.tapis.faults.switch_on("disappear", **LISTING)

    assert await listed(client, limit=2, offset=2) == []
    assert first == ["DJI_00001.JPG", "DJI_00002.JPG"]


async def test_a_growing_flight_has_more_files_at_each_listing(server: TapisServer, client: Any) -> None:
    server.tapis.faults.switch_on("grow", files=5, times=2, **LISTING)

    assert [len(await listed(client)) for _ in range(3)] == [8, 13, 13]


async def test_a_page_can_repeat_an_entry(server: TapisServer, client: Any) -> None:
    server.tapis.faults.switch_on("duplicate", **LISTING)

    assert (await listed(client))[-2:] == ["DJI_00003.JPG"] * 2


async def test_half_a_document_is_no_json(server: TapisServer, http: aiohttp.ClientSession) -> None:
    server.tapis.faults.switch_on("malformed", **LISTING)
    async with http.get("/v3/files/ops/sys/") as answer:
        assert answer.status == 200
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            await answer.json()


async def test_a_listing_can_be_cut_too(server: TapisServer, http: aiohttp.ClientSession) -> None:
    server.tapis.faults.switch_on("cut", at_bytes=10, **LISTING)
    async with http.get("/v3/files/ops/sys/") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_tokens_can_end_in_the_middle_and_refreshing_helps(server: TapisServer, client: Any) -> None:
    server.tapis.faults.switch_on("expire_tokens", **LISTING)
    with refused("UnauthorizedError"):
        await listed(client)
    await blocking(client.refresh_tokens)

    assert len(await listed(client)) == 3


async def test_refresh_tokens_can_be_revoked_in_the_middle(server: TapisServer, client: Any) -> None:
    server.tapis.faults.switch_on("revoke_refresh", **LISTING)
    await listed(client)

    with refused("BadRequestError"):
        await blocking(client.refresh_tokens)


@pytest.mark.parametrize("busy_status", [429, 500])
async def test_a_system_bears_so_many_sessions_and_no_more(
    server: TapisServer, http: aiohttp.ClientSession, busy_status: int
) -> None:
    system = server.tapis.systems["sys"]
    system.max_sessions, system.busy_status, system.latency_s = 2, busy_status, 0.3

    answers = await asyncio.gather(*(http.get(server.content_url("sys", IMAGE)) for _ in range(4)))

    assert sorted(answer.status for answer in answers) == [200, 200, busy_status, busy_status]
    assert system.sessions == 0


async def test_every_answer_can_be_late(server: TapisServer, http: aiohttp.ClientSession) -> None:
    server.tapis.pace.latency_s = 0.2
    began = time.monotonic()
    async with http.get("/v3/systems"):
        assert time.monotonic() - began >= 0.2


async def test_a_client_that_leaves_is_no_trouble(server: TapisServer, http: aiohttp.ClientSession) -> None:
    server.flight("sys", size_bytes=50_000_000)
    async with http.get(server.content_url("sys", IMAGE)) as answer:
        await answer.content.read(10)
        answer.close()

    async with asyncio.timeout(30):
        while server.tapis.systems["sys"].sessions:
            await asyncio.sleep(0.01)
    assert len(await downloaded(server, http)) == 50_000_000
