"""Several clusters: where jobs go, and that every gateway finds them there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from odm_gateway.adapters.argo.engine import ArgoEngine
from odm_gateway.ports import Completed, Failed, Line
from shared.errors import TransientError
from shared.platform import Platform
from tests.support.kubernetes.cluster import SimulatedCluster, simulated_cluster
from tests.support.kubernetes.engine import PACE, PATIENCE, Heard, argo_engine, followed, job
from tests.support.kubernetes.scenarios import HAPPY, Scenario
from tests.support.trouble import eventually


@pytest.fixture
async def others(platform: Platform) -> AsyncIterator[list[SimulatedCluster]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(simulated_cluster(platform.objects)) for _ in range(2)]


async def begin(engine: ArgoEngine, number: int, **facts: object) -> None:
    """Follow a job until it is sent somewhere."""
    async with engine.follow(job(f"odm-pipeline-{number:03}", **facts)) as events:
        async for event in events:
            if isinstance(event, Line) and "runs in the cluster" in event.text:
                return


async def first_line(engine: ArgoEngine, number: int, **facts: object) -> str:
    """Return what the follower of a job hears first."""
    async with asyncio.timeout(30), engine.follow(job(f"odm-pipeline-{number:03}", **facts)) as events:
        line = await anext(events)
        assert isinstance(line, Line)
        return line.text


@asynccontextmanager
async def going_on(engine: ArgoEngine, number: int, **facts: object) -> AsyncIterator[asyncio.Task[Heard]]:
    """Follow a job beside the block."""
    following = asyncio.create_task(followed(engine, job(f"odm-pipeline-{number:03}", **facts)))
    try:
        yield following
    finally:
        following.cancel()
        await asyncio.wait([following])


async def has(cluster: SimulatedCluster, count: int) -> None:
    async def does() -> bool:
        return len(cluster.workflows()) == count

    await eventually(does)


async def test_jobs_are_shared_out_by_weight(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    small, large = others
    for cluster in others:
        cluster.controller.admits = False
    async with argo_engine(tmp_path, platform.objects, small=small, large__3=large) as engine:
        for number in range(8):
            await begin(engine, number)
    assert (len(small.workflows()), len(large.workflows())) == (2, 6)


async def test_a_cluster_out_of_reach_gets_no_new_jobs(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    up, down = others
    down.api.faults.is_down = True
    async with argo_engine(tmp_path, platform.objects, up=up, down__9=down) as engine:
        assert isinstance((await followed(engine, job())).last, Completed)
    assert list(up.workflows()) == [job().name]


async def test_a_job_is_found_where_it_was_sent_though_that_is_not_the_emptiest_any_more(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    first, second = others
    first.controller.scenario = lambda _name: Scenario(step_s=0.2)
    async with argo_engine(tmp_path, platform.objects, a=first) as engine:
        await begin(engine, 1)
    async with argo_engine(tmp_path, platform.objects, b__99=second, a=first) as engine:
        assert isinstance((await followed(engine, job("odm-pipeline-001"))).last, Completed)
        await engine.remove(job("odm-pipeline-001"))
    assert (second.controller.made, first.workflows()) == ({}, {})


async def test_a_job_whose_cluster_is_out_of_reach_is_not_begun_elsewhere(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    first, second = others
    first.controller.scenario = lambda _name: Scenario(hangs=True)
    async with argo_engine(tmp_path, platform.objects, a=first) as engine:
        await begin(engine, 1)
    first.api.faults.is_down = True
    async with argo_engine(tmp_path, platform.objects, a=first, b=second) as engine:
        with pytest.raises(TransientError, match="cannot be reached"):
            await begin(engine, 1)
    assert second.controller.made == {}


async def test_a_cluster_that_is_no_longer_set_is_named(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    first, second = others
    async with argo_engine(tmp_path, platform.objects, a=first) as engine:
        await begin(engine, 1)
    async with argo_engine(tmp_path, platform.objects, b=second) as engine:
        with pytest.raises(TransientError, match="the cluster a, which is not among"):
            await begin(engine, 1)


async def test_a_workflow_whose_place_nobody_noted_is_found_in_any_cluster(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    first, second = others
    async with argo_engine(tmp_path, platform.objects, a=first) as engine:
        await followed(engine, job())
    await platform.objects.delete(f"jobs/{job().name}/placement.json")
    async with argo_engine(tmp_path, platform.objects, b__9=second, a=first) as engine:
        assert isinstance((await followed(engine, job())).last, Completed)
    assert second.controller.made == {}


async def test_no_cluster_in_reach_may_pass(tmp_path: Path, platform: Platform) -> None:
    async with simulated_cluster(platform.objects) as cluster:
        cluster.api.faults.is_down = True
        async with argo_engine(tmp_path, platform.objects, a=cluster) as engine:
            with pytest.raises(TransientError, match=r"No cluster can be reached \(a: The Kubernetes API"):
                await begin(engine, 1)
            cluster.api.faults.is_down = False
            cluster.controller.scenario = lambda _name: HAPPY
            assert not isinstance((await _patiently(engine)), Failed)


async def _patiently(engine: ArgoEngine) -> object:
    for _ in range(100):
        try:
            return (await followed(engine, job("odm-pipeline-001"))).last
        except TransientError:
            await asyncio.sleep(0.1)
    raise AssertionError


PATIENT = replace(PATIENCE, away=timedelta(minutes=1), no_room=timedelta(minutes=1))


async def test_a_cluster_that_just_went_away_gets_no_new_jobs(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    up, down = others
    async with argo_engine(tmp_path, platform.objects, PATIENT, up=up, down__9=down) as engine:
        await engine.clusters.tried()
        down.api.faults.is_down = True
        down.api.cut_watches()

        async def is_noticed() -> bool:
            return not engine.clusters.by_name["down"].reflector.is_fresh

        await eventually(is_noticed)
        assert isinstance((await followed(engine, job())).last, Completed)
        down.api.faults.is_down = False
        await eventually(lambda: _is_fresh(engine, "down"))
    assert list(up.workflows()) == [job().name]


async def _is_fresh(engine: ArgoEngine, name: str) -> bool:
    return engine.clusters.by_name[name].reflector.is_fresh


async def test_a_job_waits_for_a_cluster_that_is_away_and_says_so(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    cluster = others[0]
    cluster.api.faults.is_down = True
    async with (
        argo_engine(tmp_path, platform.objects, PATIENT, a=cluster) as engine,
        going_on(engine, 1) as following,
    ):
        await asyncio.sleep(0.5)
        cluster.api.faults.is_down = False
        heard = await following
    assert isinstance(heard.last, Completed)
    assert "The job waits to be sent: No cluster can be reached (a:" in heard.console


@pytest.mark.parametrize("kind", ["persistentvolumeclaims", "workflows"])
async def test_a_job_that_a_clusters_quota_refuses_goes_to_another_one(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster], kind: str
) -> None:
    full, other = others
    full.api.faults.quota = {kind: 0}
    pace = replace(PACE, full=timedelta(minutes=1))
    async with argo_engine(
        tmp_path, platform.objects, PATIENT, pace=pace, full__9=full, other=other
    ) as engine:
        assert isinstance((await followed(engine, job())).last, Completed)
        assert (full.workflows(), full.claims()) == ({}, [])
        await begin(engine, 2)  # and the next one is not even tried there
    assert full.api.calls["create", kind] == 1


async def test_where_all_quotas_are_used_up_a_job_waits_until_one_has_room(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    cluster = others[0]
    cluster.api.faults.quota = {"workflows": 0}
    async with (
        argo_engine(tmp_path, platform.objects, PATIENT, a=cluster) as engine,
        going_on(engine, 1) as following,
    ):
        await asyncio.sleep(0.5)
        cluster.api.faults.quota = {}
        heard = await following
    assert isinstance(heard.last, Completed)
    assert "exceeded quota" in heard.console


async def test_a_quota_that_never_has_room_fails_the_job_in_its_words(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    others[0].api.faults.quota = {"persistentvolumeclaims": 0}
    patience = replace(PATIENT, no_room=timedelta(seconds=0.3))
    async with argo_engine(tmp_path, platform.objects, patience, a=others[0]) as engine:
        last = (await followed(engine, job())).last
    assert isinstance(last, Failed)
    assert last.message.startswith("The cluster has no room for the job: a: The quota is used up")


async def test_a_claim_that_is_there_already_needs_no_more_quota(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    cluster = others[0]
    async with argo_engine(tmp_path, platform.objects, a=cluster) as engine:
        cluster.api.faults.forbidden = {("create", "workflows")}
        await followed(engine, job())
        assert len(cluster.claims()) == 1
        cluster.api.faults.forbidden, cluster.api.faults.quota = set(), {"persistentvolumeclaims": 1}
        assert isinstance((await followed(engine, job())).last, Completed)


async def test_a_job_goes_only_where_it_may_have_its_memory(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    small, large = others
    async with argo_engine(tmp_path, platform.objects, small__9__32=small, large__1__128=large) as engine:
        assert isinstance((await followed(engine, job("odm-pipeline-s", image_count=60))).last, Completed)
        await followed(engine, job("odm-pipeline-l", image_count=1_000))
        await followed(engine, job("odm-pipeline-xl", image_count=10_000))
    assert (set(small.workflows()), set(large.workflows())) == (
        {"odm-pipeline-s"}, {"odm-pipeline-l", "odm-pipeline-xl"},
    )  # fmt: skip
    assert _memory(small, "odm-pipeline-s")[-1] == "32Gi"
    assert _memory(large, "odm-pipeline-xl") == ["128Gi"] * 4


def _memory(cluster: SimulatedCluster, name: str) -> list[str]:
    given = cluster.workflows()[name]["spec"]["arguments"]["parameters"]
    return [parameter["value"] for parameter in given if parameter["name"].startswith("mem")]


async def test_a_large_job_waits_for_the_large_cluster_rather_than_going_where_it_fits_not(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    small, large = others
    large.api.faults.is_down = True
    async with argo_engine(
        tmp_path, platform.objects, PATIENT, small__9__32=small, large__1__128=large
    ) as engine:
        assert "(large:" in await first_line(engine, 1, image_count=1_000)
    assert small.controller.made == {}


async def test_the_window_of_a_cluster_holds_whichever_gateway_sends_and_parts_of_tasks_have_their_own(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    cluster = others[0]
    cluster.controller.admits = False
    async with (
        argo_engine(tmp_path, platform.objects, window=2, a=cluster) as one,
        argo_engine(tmp_path, platform.objects, window=2, a=cluster) as other,
    ):
        await begin(one, 1)
        await begin(other, 2)
        await has(cluster, 2)
        for engine in (one, other):
            await eventually(lambda engine=engine: _knows(engine, 2))  # type: ignore[misc]
            assert "No cluster has room (a)" in await first_line(engine, 3)
        await begin(one, 4, is_submodel=True)
        await begin(other, 5, is_submodel=True)
        assert len(cluster.workflows()) == 4
        async with going_on(other, 3):
            cluster.controller.admits = True
            await has(cluster, 5)


async def _knows(engine: ArgoEngine, count: int) -> bool:
    return engine.clusters.by_name["a"].reflector.open_count == count


async def test_a_job_canceled_while_its_workflow_is_being_made_leaves_nothing_that_runs(
    tmp_path: Path, platform: Platform, others: list[SimulatedCluster]
) -> None:
    cluster = others[0]
    cluster.controller.scenario = lambda _name: Scenario(hangs=True)
    async with argo_engine(tmp_path, platform.objects, a=cluster) as engine:
        await engine.clusters.tried()
        cluster.api.faults.latency_s = 0.4
        async with going_on(engine, 1):
            await eventually(lambda: _asked(cluster, "create", "workflows"))
        cluster.api.faults.latency_s = 0
        await engine.cancel(job("odm-pipeline-001"))
        await engine.remove(job("odm-pipeline-001"))
        await asyncio.sleep(0.6)
    assert (cluster.workflows(), cluster.claims()) == ({}, [])


async def _asked(cluster: SimulatedCluster, verb: str, plural: str) -> bool:
    return cluster.api.calls[verb, plural] > 0
