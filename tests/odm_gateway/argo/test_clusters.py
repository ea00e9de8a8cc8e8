"""Several clusters: where jobs go, and that every gateway finds them there."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from odm_gateway.adapters.argo.engine import ArgoEngine
from odm_gateway.ports import Completed, Failed
from shared.errors import TransientError
from shared.platform import Platform
from tests.support.kubernetes.cluster import SimulatedCluster, simulated_cluster
from tests.support.kubernetes.engine import argo_engine, followed, job
from tests.support.kubernetes.scenarios import HAPPY, Scenario


@pytest.fixture
async def others(platform: Platform) -> AsyncIterator[list[SimulatedCluster]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(simulated_cluster(platform.objects)) for _ in range(2)]


async def begin(engine: ArgoEngine, number: int) -> None:
    async with engine.follow(job(f"odm-pipeline-{number:03}")) as events:
        await anext(events)


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
            with pytest.raises(TransientError, match=r"No cluster can be reached \(a\)"):
                await begin(engine, 1)
            cluster.api.faults.is_down = False
            cluster.controller.scenario = lambda _name: HAPPY
            assert not isinstance((await _patiently(engine)), Failed)


async def _patiently(engine: ArgoEngine) -> object:
    for _ in range(100):
        try:
            return (await followed(engine, job("odm-pipeline-001"))).last
        except TransientError:
            continue
    raise AssertionError
