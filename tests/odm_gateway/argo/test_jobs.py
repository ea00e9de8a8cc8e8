"""Tasks of the NodeODM API that run as workflows."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from odm_gateway.domain.tasks import Status
from shared.platform import Platform
from tests.odm_gateway.argo.conftest import RunGateway
from tests.support.gateway import GatewayClient
from tests.support.kubernetes.cluster import SimulatedCluster
from tests.support.kubernetes.scenarios import EVICTED, HAPPY, Scenario, failing, out_of_memory, pod_lost
from tests.support.kubernetes.telling import told_of
from tests.support.trouble import eventually

UUID = "3f2c7a10-9d4e-4b56-8a21-5c0e7d9b1f42"


async def phase_is(cluster: SimulatedCluster, name: str, phase: str) -> None:
    async def does() -> bool:
        found = cluster.workflows().get(name, {})
        return bool(found.get("status", {}).get("phase") == phase)

    await eventually(does)


async def is_clean(cluster: SimulatedCluster) -> None:
    async def nothing_is_left() -> bool:
        return (cluster.workflows(), cluster.claims()) == ({}, [])

    await eventually(nothing_is_left)


async def nothing_is_kept(gateway: GatewayClient) -> bool:
    return not [stored.key async for stored in gateway.platform.objects.list("jobs/")]


async def test_a_task_runs_as_a_workflow_of_its_name_and_leaves_only_products(
    gateway: GatewayClient, cluster: SimulatedCluster
) -> None:
    uuid = await gateway.new_task()
    info = await gateway.finished(uuid)
    assert (info["status"], info["progress"]) == ({"code": Status.COMPLETED}, 100)
    assert (await gateway.http.get(f"/task/{uuid}/download/all.zip")).content == b"all.zip"
    assert cluster.controller.made == {uuid: 1}
    await is_clean(cluster)
    await eventually(lambda: nothing_is_kept(gateway))
    assert len(await gateway.get(f"/task/{uuid}/output")) >= 6


async def test_a_client_that_chose_a_uuid_finds_its_workflow_under_it(
    gateway: GatewayClient, cluster: SimulatedCluster
) -> None:
    zipurl = gateway.platform.objects.uri("staging/flight")
    await gateway.new_task()  # stages the images
    await gateway.post("/task/new", data={"zipurl": zipurl}, headers={"set-uuid": UUID})
    await gateway.finished(UUID)
    assert cluster.controller.made[f"odm-pipeline-{UUID}"] == 1


async def test_a_failed_task_says_why_in_nodeodms_words(
    gateway: GatewayClient, cluster: SimulatedCluster
) -> None:
    cluster.controller.scenario = lambda _name: out_of_memory(4, then=None)
    info = await gateway.finished(await gateway.new_task())
    assert info["status"] == {"code": Status.FAILED, "errorMessage": "Not enough memory"}


async def test_why_a_task_failed_is_known_when_nothing_of_it_is_left_in_the_cluster(
    gateway: GatewayClient, cluster: SimulatedCluster
) -> None:
    cluster.controller.scenario = lambda _name: replace(pod_lost(EVICTED), ttl_s=0.0)
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    await is_clean(cluster)
    info = await gateway.get(f"/task/{uuid}/info")
    assert EVICTED in info["status"]["errorMessage"]
    assert sum(EVICTED in line for line in await gateway.get(f"/task/{uuid}/output")) == 4


async def test_a_task_that_runs_is_canceled_and_its_workflow_ended(
    gateway: GatewayClient, cluster: SimulatedCluster
) -> None:
    cluster.controller.scenario = lambda _name: Scenario(hangs=True)
    uuid = await gateway.new_task()
    await phase_is(cluster, uuid, "Running")
    assert await gateway.post("/task/cancel", data={"uuid": uuid}) == {"success": True}
    assert (await gateway.finished(uuid))["status"]["code"] == Status.CANCELED
    await is_clean(cluster)
    assert cluster.controller.succeeded == {}


async def test_a_task_that_waits_in_the_cluster_is_canceled(
    gateway: GatewayClient, cluster: SimulatedCluster
) -> None:
    cluster.controller.admits = False
    uuid = await gateway.new_task()
    await phase_is(cluster, uuid, "Pending")
    await gateway.post("/task/cancel", data={"uuid": uuid})
    await is_clean(cluster)


async def test_a_restart_is_another_workflow_of_the_same_task(
    gateway: GatewayClient, cluster: SimulatedCluster
) -> None:
    cluster.controller.scenario = lambda name: HAPPY if name.endswith("-a2") else failing(1)
    uuid = await gateway.new_task()
    assert (await gateway.finished(uuid))["status"]["code"] == Status.FAILED
    assert await gateway.post("/task/restart", data={"uuid": uuid}) == {"success": True}
    assert (await gateway.finished(uuid))["status"]["code"] == Status.COMPLETED
    assert cluster.controller.made == {uuid: 1, f"{uuid}-a2": 1}
    await is_clean(cluster)


async def test_a_removed_task_leaves_nothing_at_all(
    gateway: GatewayClient, cluster: SimulatedCluster
) -> None:
    cluster.controller.scenario = lambda _name: Scenario(hangs=True)
    uuid = await gateway.new_task()
    await phase_is(cluster, uuid, "Running")
    await gateway.post("/task/remove", data={"uuid": uuid})
    await is_clean(cluster)

    async def nothing_is_stored() -> bool:
        kept = [stored.key async for stored in gateway.platform.objects.list("jobs/")]
        return not kept and not [stored.key async for stored in gateway.platform.objects.list("products/")]

    await eventually(nothing_is_stored)


async def test_a_task_outlives_its_gateway(run_gateway: RunGateway, cluster: SimulatedCluster) -> None:
    cluster.controller.scenario = lambda _name: Scenario(step_s=0.3)
    async with run_gateway() as gateway:
        uuid = await gateway.new_task()
        await phase_is(cluster, uuid, "Running")
    await phase_is(cluster, uuid, "Succeeded")
    async with run_gateway() as gateway:
        assert (await gateway.finished(uuid))["status"]["code"] == Status.COMPLETED
        assert len(await gateway.get(f"/task/{uuid}/output")) >= 6
    assert cluster.controller.made == {uuid: 1}


async def test_two_gateways_share_the_work_and_make_every_workflow_once(
    run_gateway: RunGateway, cluster: SimulatedCluster, platform: Platform
) -> None:
    async with run_gateway(argo_window=4) as one, run_gateway(argo_window=4) as other:
        uuids = [await (one, other)[number % 2].new_task() for number in range(12)]
        infos = [await (other, one)[number % 2].finished(uuid) for number, uuid in enumerate(uuids)]
        assert {info["status"]["code"] for info in infos} == {Status.COMPLETED}
        assert cluster.controller.made == dict.fromkeys(uuids, 1)
        await is_clean(cluster)
    assert await told_of(platform, 12) == dict.fromkeys(uuids, ("completed", 1))


@pytest.mark.parametrize("fault", ["is_silent", "loses_events"])
async def test_a_watch_that_tells_nothing_keeps_no_task_waiting(
    gateway: GatewayClient, cluster: SimulatedCluster, fault: str
) -> None:
    setattr(cluster.api.faults, fault, True)
    info = await gateway.finished(await gateway.new_task())
    assert info["status"]["code"] == Status.COMPLETED


@pytest.mark.parametrize("for_s", [3, pytest.param(20, marks=pytest.mark.long)])
async def test_an_api_server_that_is_gone_for_a_while_fails_no_task(
    run_gateway: RunGateway, cluster: SimulatedCluster, monkeypatch: pytest.MonkeyPatch, for_s: int
) -> None:
    monkeypatch.setenv("FLIGHTLINE_RETRY_LADDER", "1ms")  # what waits, waits for the cluster itself
    cluster.controller.scenario = lambda _name: Scenario(step_s=0.3)
    async with run_gateway() as gateway:
        running = await gateway.new_task()
        await phase_is(cluster, running, "Running")
        outage = asyncio.create_task(cluster.go_down(for_s))
        late = await gateway.new_task()
        shown = await gateway.get(f"/task/{running}/info")
        assert shown["status"]["code"] == Status.RUNNING
        assert not outage.done()  # answers do not wait for the cluster
        await outage
        for uuid in (running, late):
            assert (await gateway.finished(uuid))["status"]["code"] == Status.COMPLETED
        assert cluster.controller.made == {running: 1, late: 1}


async def test_a_gateway_starts_and_answers_without_its_cluster(
    run_gateway: RunGateway, cluster: SimulatedCluster
) -> None:
    cluster.api.faults.is_down = True
    async with run_gateway() as gateway:
        assert (await gateway.get("/info"))["maxParallelTasks"] == 300


async def test_as_many_tasks_as_the_window_holds_are_in_the_cluster_together(
    run_gateway: RunGateway, cluster: SimulatedCluster
) -> None:
    cluster.controller.admits = False
    async with run_gateway(argo_window=3) as gateway:
        uuids = [await gateway.new_task() for _ in range(6)]

        async def is_full() -> bool:
            return len(cluster.workflows()) == 3

        await eventually(is_full)
        await asyncio.sleep(1)
        assert set(cluster.workflows()) == set(uuids[:3])


async def _finished_all(gateway: GatewayClient, uuids: list[str], within_s: float) -> list[Any]:
    return [await gateway.finished(uuid, within_s=within_s) for uuid in uuids]


@pytest.mark.parametrize(
    ("count", "window"),
    [(60, 25), pytest.param(5_000, 300, marks=[pytest.mark.long, pytest.mark.timeout(3_000)])],
)
async def test_many_tasks_are_neither_lost_nor_doubled(
    run_gateway: RunGateway, cluster: SimulatedCluster, platform: Platform, count: int, window: int
) -> None:
    cluster.controller.scenario = lambda _name: Scenario(step_s=0.2)
    async with run_gateway(argo_poll="2s", argo_look_every="30s", argo_window=window) as gateway:
        await gateway.new_task()  # stages the images
        zipurl = gateway.platform.objects.uri("staging/flight")
        uuids = [
            str((await gateway.post("/task/new", data={"zipurl": zipurl}))["uuid"]) for _ in range(count)
        ]
        infos = await _finished_all(gateway, uuids, within_s=2_400)
        assert {info["status"]["code"] for info in infos} == {Status.COMPLETED}
        assert set(cluster.controller.made.values()) == {1}
        assert len(cluster.controller.succeeded) == count + 1
    told = await told_of(platform, count + 1)
    assert set(told.values()) == {("completed", 1)}
