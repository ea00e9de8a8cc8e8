"""What an operator's settings and restarts do to tasks."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.odm_gateway.wire_suite.conftest import client_of
from tests.odm_gateway.wire_suite.gateways import Node, Process, gateway_running, photo
from tests.support.trouble import eventually
from tests.support.webhook_receiver import webhook_receiver

QUICK = {"ODM_GATEWAY_SIMULATE_SECONDS": "0.2", "FLIGHTLINE_RETRY_LADDER": "0.1,0.1"}
UNDER_WAY = {"ODM_GATEWAY_SIMULATE_SECONDS": "600", "ODM_GATEWAY_TASKS_AT_ONCE": "4"}
LATER = {
    "ODM_GATEWAY_SIMULATE_SECONDS": "3",
    "ODM_GATEWAY_CLEANUP": "100ms",
    "ODM_GATEWAY_CLEANUP_UPLOADS": "100ms",
}


@dataclass(frozen=True, slots=True)
class Left:
    """What a gateway left behind."""

    finished: str
    """A task that ended longer ago than tasks are kept."""
    stale: str
    """An upload that began longer ago than uploads may wait."""
    open: str
    """A task whose work was under way."""


@pytest.fixture(scope="module")
def later_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Left]]:
    home = tmp_path_factory.mktemp("later") / "home"
    with gateway_running(home, UNDER_WAY) as process:
        left = asyncio.run(_left_behind(process))
    with gateway_running(home, LATER) as process:
        yield process, left


async def _left_behind(process: Process) -> Left:
    async with client_of(process) as node:
        finished = await node.task(1)
        await node.post("/task/cancel", data={"uuid": finished})
        await node.ended(finished)

        async def is_over() -> bool:  # a task counts as canceled as soon as that is asked for
            return bool((await node.get("/info"))["taskQueueCount"] == 0)

        await eventually(is_over)
        return Left(finished, stale=await node.drafted(1), open=await node.task(1))


@pytest.fixture
async def later(later_process: tuple[Process, Left]) -> AsyncIterator[tuple[Node, Left]]:
    """Give a gateway that was started again, and what its predecessor had left."""
    process, left = later_process
    async with client_of(process) as node:
        yield node, left


async def test_s1_5_server_restart_loses_no_task(later: tuple[Node, Left]) -> None:
    node, left = later
    assert {"uuid": left.open} in await node.get("/task/list")
    assert (await node.reached(left.open, 40))["imagesCount"] == 1


async def test_s1_6_stale_uploads_are_removed(later: tuple[Node, Left]) -> None:
    node, left = later

    async def is_gone() -> bool:
        return not await node.process.keys(f"uploads/{left.stale}/")

    await eventually(is_gone)
    assert await node.commit(left.stale) == {"error": "Invalid uuid (not found)"}
    assert await node.upload(left.stale, photo(1)) == {"error": "Invalid uuid (not found)"}


async def test_s1_7_cleanup_removes_finished_tasks(later: tuple[Node, Left]) -> None:
    node, left = later

    async def is_gone() -> bool:
        return bool(await node.info(left.finished) == {"error": f"{left.finished} not found"})

    await eventually(is_gone)
    assert {"uuid": left.finished} not in await node.get("/task/list")


async def test_s1_7_webhook_is_told_until_it_answers_200_and_so_is_the_nodes(
    tmp_path: Path,
) -> None:
    async with webhook_receiver() as receiver:
        receiver.answers[:] = [500, 204]  # only a 200 will do
        ours = {"ODM_GATEWAY_WEBHOOK": f"{receiver.url}/node", "ODM_GATEWAY_ALLOW_PRIVATE_URLS": "true"}
        with gateway_running(tmp_path / "home", QUICK | ours) as process:
            async with client_of(process) as node:
                uuid = await node.finished(webhook=f"{receiver.url}/mine")
                heard = await receiver.wait(4)
    assert {one.path for one in heard} == {"/mine", "/node"}
    assert {one.payload["uuid"] for one in heard} == {uuid}


async def test_s1_5_archive_error_is_30(tmp_path: Path) -> None:
    objects = tmp_path / "home/objects"
    objects.mkdir(parents=True)
    (objects / "products+").write_bytes(b"not a folder")
    with gateway_running(tmp_path / "home", QUICK) as process:
        async with client_of(process) as node:
            info = await node.ended(await node.task(1))
    assert info["status"]["code"] == 30
    assert info["status"]["errorMessage"]  # NodeODM leaves its users guessing
