"""Split-merge: a task that splits its images hands the parts back to the gateway that runs it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from odm_gateway.domain.identity import task_key
from odm_gateway.domain.submodels import scoped_token
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.loops import TASKS
from shared.state import Collection
from tests.support.gateway import JPEG, GatewayClient, running_gateway

SPLIT = json.dumps([{"name": "split", "value": 2}])
RUNNING, COMPLETED = 20, 40
KEEPER = "keeper-token"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayClient]:
    settings = {"cluster_url": "http://gateway.internal:31100", "simulate_seconds": 4}
    async with running_gateway(tmp_path, tokens=SecretStr(f"ann={KEEPER},bob=b"), **settings) as client:
        client.http.params = client.http.params.set("token", KEEPER)
        yield client


async def running_parent(gateway: GatewayClient) -> Task:
    """Return a split task that is being worked on."""
    uuid = await gateway.new_task(options=SPLIT, name="whole")
    tasks = Collection(gateway.platform.store, TASKS, Task)
    async with asyncio.timeout(30):
        while (task := (await tasks.load(task_key(uuid))).body).status is not Status.RUNNING:
            await asyncio.sleep(0.05)
    assert task.cluster_secret
    return task


async def part_of(gateway: GatewayClient, token: str) -> str:
    """Make a submodel in the steps in which ODM makes it."""
    params = {"token": token}
    uuid = str((await gateway.post("/task/new/init", params=params, files={"name": (None, "part")}))["uuid"])
    upload = {"images": ("a.jpg", JPEG)}
    assert await gateway.post(f"/task/new/upload/{uuid}", params=params, files=upload) == {"success": True}
    assert await gateway.post(f"/task/new/commit/{uuid}", params=params) == {"uuid": uuid}
    return uuid


async def test_parts_run_beside_the_task_that_waits_for_them(gateway: GatewayClient) -> None:
    parent = await running_parent(gateway)
    params = {"token": scoped_token(parent)}
    parts = [await part_of(gateway, params["token"]) for _ in range(2)]

    infos = [await gateway.get(f"/task/{uuid}/info", params=params) for uuid in parts]
    assert [info["status"]["code"] for info in infos] == [RUNNING, RUNNING]
    assert await gateway.get("/task/list", params=params) == [{"uuid": uuid} for uuid in parts]
    async with asyncio.timeout(60):  # the parent holds the only slot of tasks
        while (await gateway.get(f"/task/{parts[0]}/info"))["status"]["code"] != COMPLETED:
            assert (await gateway.get("/task/list"))[0] == {"uuid": parent.id}
            await asyncio.sleep(0.1)


async def test_a_token_of_parts_sees_nothing_else_and_ends_with_its_task(gateway: GatewayClient) -> None:
    parent = await running_parent(gateway)
    params = {"token": scoped_token(parent)}
    refusal = {"error": f"{parent.id} not found"}
    assert await gateway.get(f"/task/{parent.id}/info", params=params) == refusal

    await gateway.finished(parent.id)

    answer = await gateway.get("/task/list", params=params)
    assert answer == {"error": "Invalid authentication token: token does not match."}


async def test_parts_that_are_left_go_with_their_task(gateway: GatewayClient) -> None:
    parent = await running_parent(gateway)
    uuid = await part_of(gateway, scoped_token(parent))
    assert await gateway.post("/task/cancel", data={"uuid": parent.id}) == {"success": True}

    async with asyncio.timeout(20):
        while "error" not in await gateway.get(f"/task/{uuid}/info"):
            await asyncio.sleep(0.1)


async def test_parts_belong_to_the_tenant_of_their_task(gateway: GatewayClient) -> None:
    parent = await running_parent(gateway)
    uuid = await part_of(gateway, scoped_token(parent))

    assert (await gateway.get(f"/task/{uuid}/info"))["name"] == "part"
    assert "error" in await gateway.get(f"/task/{uuid}/info", params={"token": "b"})


async def test_a_task_without_split_needs_no_secret(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)

    task = (await Collection(gateway.platform.store, TASKS, Task).load(task_key(uuid))).body
    assert task.cluster_secret == ""
