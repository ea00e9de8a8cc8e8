"""PostIts and transfers between systems, by tapipy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support.tapis import USER, TapisServer, blocking, refused, tapis_server

IMAGES = "Flight1/code/images"
IMAGE = f"{IMAGES}/DJI_00001.JPG"
ENDED = ("COMPLETED", "CANCELLED", "FAILED", "FAILED_OPT")


@pytest.fixture
async def server() -> AsyncIterator[TapisServer]:
    async with tapis_server() as running:
        running.flight("sys", size_bytes=50_000)
        running.tapis.add_system("staging", USER, type="S3")
        yield running


@pytest.fixture
async def client(server: TapisServer) -> Any:
    return await server.logged_in()


async def redeemed(postit: Any) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as anybody, anybody.get(postit.redeemUrl) as answer:
        return answer.status, await answer.read()


async def started(client: Any, *elements: dict[str, Any]) -> Any:
    return await blocking(client.files.createTransferTask, elements=list(elements), tag="tests")


async def ended(client: Any, task: Any) -> Any:
    async with asyncio.timeout(30):
        while True:
            told = await blocking(client.files.getTransferTaskDetails, transferTaskId=task.uuid)
            if told.status in ENDED:
                return told
            await asyncio.sleep(0.02)


def element(source: str, destination: str = "copies", **more: Any) -> dict[str, Any]:
    uris = {"sourceURI": f"tapis://sys/{source}", "destinationURI": f"tapis://staging/{destination}"}
    return {**uris, **more}


async def test_a_postit_gives_the_file_to_anybody_once(client: Any) -> None:
    postit = await blocking(client.files.createPostIt, systemId="sys", path=IMAGE)

    assert [(status, len(body)) for status, body in [await redeemed(postit)]] == [(200, 50_000)]
    assert (await redeemed(postit))[0] == 403


async def test_an_unlimited_postit_gives_the_file_again_and_again(client: Any) -> None:
    postit = await blocking(client.files.createPostIt, systemId="sys", path=IMAGE, allowedUses=-1)
    statuses = [(await redeemed(postit))[0] for _ in range(3)]
    told = await blocking(client.files.getPostIt, postitId=postit.postitId)

    assert statuses == [200] * 3
    assert told.timesUsed == 3


async def test_one_s_postits_are_listed(client: Any) -> None:
    made = [await blocking(client.files.createPostIt, systemId="sys", path=IMAGE) for _ in range(3)]

    listed = await blocking(client.files.listPostIts, limit=2, skip=1)

    assert [one.postitId for one in listed] == [one.postitId for one in made[1:]]


async def test_an_unknown_postit_is_not_found(client: Any) -> None:
    with refused("NotFoundError"):
        await blocking(client.files.getPostIt, postitId="none")


@pytest.mark.parametrize("wrong", [{"allowedUses": 0}, {"validSeconds": 0}])
async def test_a_postit_that_gives_nothing_is_refused(client: Any, wrong: dict[str, int]) -> None:
    with refused("BadRequestError"):
        await blocking(client.files.createPostIt, systemId="sys", path=IMAGE, **wrong)


async def test_a_transfer_copies_a_folder_and_tells_of_each_file(server: TapisServer, client: Any) -> None:
    told = await ended(client, await started(client, element(IMAGES)))
    copies = list(server.tapis.systems["staging"].files.walk())

    assert told.status == "COMPLETED"
    assert (told.totalTransfers, told.completeTransfers, told.totalBytesTransferred) == (3, 3, 150_000)
    assert [child.status for child in told.parentTasks[0].children] == ["COMPLETED"] * 3
    assert [one.path for one in copies] == [f"copies/DJI_0000{number}.JPG" for number in (1, 2, 3)]


async def test_a_transfer_tries_a_file_three_times(server: TapisServer, client: Any) -> None:
    server.tapis.faults.switch_on("status", operation="transferFile", path="00001", times=2)
    server.tapis.faults.switch_on("status", operation="transferFile", path="00002", times=3)

    told = await ended(client, await started(client, element(IMAGES)))

    children = [(child.status, child.retries) for child in told.parentTasks[0].children]
    assert children == [("COMPLETED", 2), ("FAILED", 2), ("COMPLETED", 0)]
    assert told.status == "FAILED"
    assert "00002" in told.errorMessage


async def test_an_optional_element_may_fail(client: Any) -> None:
    told = await ended(client, await started(client, element("none", optional=True), element(IMAGE, "a.jpg")))

    assert told.status == "COMPLETED"
    assert [parent.status for parent in told.parentTasks] == ["FAILED_OPT", "COMPLETED"]


async def test_a_transfer_can_be_cancelled(server: TapisServer, client: Any) -> None:
    server.tapis.pace.transfer_bytes_per_s = 1000
    task = await started(client, element(IMAGES))
    await blocking(client.files.cancelTransferTask, transferTaskId=task.uuid)

    told = await ended(client, task)

    assert told.status == "CANCELLED"
    assert not list(server.tapis.systems["staging"].files.walk())


async def test_one_s_transfers_are_listed_newest_first(client: Any) -> None:
    tasks = [await started(client, element(IMAGE, "a.jpg")) for _ in range(2)]

    listed = await blocking(client.files.getRecentTransferTasks)

    assert [one.uuid for one in listed] == [one.uuid for one in reversed(tasks)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"sourceURI": "tapis://sys/a", "destinationURI": "https://elsewhere.example/a"},
        {"sourceURI": "ftp://elsewhere.example/a", "destinationURI": "tapis://staging/a"},
    ],
)
async def test_a_transfer_to_elsewhere_is_refused(client: Any, wrong: dict[str, str]) -> None:
    with refused("BadRequestError"):
        await started(client, wrong)


async def test_another_user_s_transfer_cannot_be_read(server: TapisServer, client: Any) -> None:
    task = await started(client, element(IMAGE, "a.jpg"))
    async with server.http("other") as http, http.get(f"/v3/files/transfers/{task.uuid}") as answer:
        assert answer.status == 403
