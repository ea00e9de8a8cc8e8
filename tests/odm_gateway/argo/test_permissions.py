"""The role that the gateway needs is the one that it says it needs."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from odm_gateway.adapters.argo.kubernetes import PERMISSIONS
from odm_gateway.ports import Completed
from shared.platform import Platform
from tests.support.kubernetes.cluster import SimulatedCluster
from tests.support.kubernetes.engine import PATIENCE, argo_engine, followed, job
from tests.support.kubernetes.scenarios import BACK_OFF, Scenario

ALLOWED = {(verb, resource.plural) for resource, verbs in PERMISSIONS.items() for verb in verbs}


async def test_the_calls_of_a_jobs_life_are_those_that_the_role_allows(
    tmp_path: Path, platform: Platform, cluster: SimulatedCluster
) -> None:
    patience = replace(PATIENCE, trouble=timedelta(seconds=0.2))
    done, bad = job("odm-pipeline-done"), job("odm-pipeline-bad")
    cluster.controller.scenario = lambda name: Scenario(stays_pending=BACK_OFF if name == bad.name else None)
    async with argo_engine(tmp_path, platform.objects, patience, simulated=cluster) as engine:
        assert isinstance((await followed(engine, done)).last, Completed)
        await platform.objects.delete(f"jobs/{done.name}/placement.json")  # makes it look for what there is
        assert isinstance((await followed(engine, done)).last, Completed)
        cluster.vanish(done.name)
        await platform.objects.delete(f"jobs/{done.name}/result.json")  # … and make the workflow anew
        assert isinstance((await followed(engine, done)).last, Completed)
        await followed(engine, bad)
        for each in (done, bad):
            await engine.cancel(each)
            await engine.remove(each)
    assert set(cluster.api.calls) == ALLOWED


async def test_a_role_with_no_more_than_that_suffices(
    tmp_path: Path, platform: Platform, cluster: SimulatedCluster
) -> None:
    verbs = ("create", "get", "list", "watch", "update", "patch", "delete")
    resources = ("workflows", "persistentvolumeclaims", "pods")
    cluster.api.faults.forbidden = {(verb, name) for verb in verbs for name in resources} - ALLOWED
    async with argo_engine(tmp_path, platform.objects, simulated=cluster) as engine:
        assert isinstance((await followed(engine, job())).last, Completed)
        await engine.remove(job())
    assert (cluster.workflows(), cluster.claims()) == ({}, [])
