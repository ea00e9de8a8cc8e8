"""Our own parts and manifests, on the simulator and, with ``make test-cluster``, on a real cluster.

A controller may be at work there or not: nothing here waits for one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from odm_gateway.adapters.argo.clusters import Cluster, Clusters
from odm_gateway.adapters.argo.engine import ArgoEngine
from odm_gateway.adapters.argo.kubernetes import CLAIMS, WORKFLOWS
from odm_gateway.adapters.argo.reflector import Reflector
from odm_gateway.adapters.argo.submission import OURS, claim, claim_name, workflow
from odm_gateway.domain.sizing import size_of
from odm_gateway.ports import Failed, Job, Line
from shared.platform import Platform
from tests.odm_gateway.steps.test_workflow_template import VARIANTS
from tests.support.kubernetes.corner import Corner
from tests.support.kubernetes.engine import LIMITS, PACE, PATIENCE, RECIPE, job

NOWHERE = replace(RECIPE, template="flightline-test-no-such-template")
"""Where a controller is at work, it is to end the workflow at once, and to make no pod."""


@asynccontextmanager
async def reflecting(corner: Corner, selector: str) -> AsyncIterator[Reflector]:
    reflector = Reflector(corner.client, corner.cluster.name, selector, PACE)
    running = asyncio.create_task(reflector.run())
    try:
        await reflector.tried()
        yield reflector
    finally:
        running.cancel()
        await asyncio.wait([running])


async def hears(reflector: Reflector, name: str, of: Callable[[], Coroutine[Any, Any, object]]) -> None:
    with reflector.changes(name) as changed:
        await of()
        async with asyncio.timeout(15):
            await changed.wait()


async def test_a_reflector_hears_of_what_comes_changes_and_goes(corner: Corner) -> None:
    await corner.make("old")
    async with reflecting(corner, corner.selector) as reflector:
        assert (reflector.is_fresh, reflector.open_count) == (True, 1)
        name = corner.name("a")
        await hears(reflector, name, lambda: corner.make("a"))
        assert reflector.open_count == 2
        ended = {"metadata": {"labels": {"workflows.argoproj.io/completed": "true"}}}
        await hears(reflector, name, lambda: corner.client.merge(WORKFLOWS, name, ended))
        assert reflector.open_count == 1
        await hears(reflector, name, lambda: corner.client.delete(WORKFLOWS, name))


@pytest.mark.parametrize("variant", VARIANTS)
async def test_the_server_takes_our_templates(corner: Corner, variant: str) -> None:
    template = {**VARIANTS[variant], "metadata": {"name": corner.name(variant)}}
    code, answer = await corner.dry_run("workflowtemplates", template)
    assert code == 201, answer


async def test_the_server_takes_what_a_job_is_made_of(corner: Corner) -> None:
    wanted, size = a_job(tenant="Survey & Co.", is_submodel=True), size_of(100, 0, (), LIMITS)
    made = {"persistentvolumeclaims": claim(wanted, size, RECIPE)}
    made["workflows"] = workflow(wanted, size, RECIPE, "s3://bucket/job.json")
    for plural, manifest in made.items():
        code, answer = await corner.dry_run(plural, manifest)
        assert code == 201, answer


def a_job(**facts: object) -> Job:
    return job(f"odm-pipeline-flightline-test-{uuid4().hex[:10]}", **facts)


async def test_a_job_is_made_once_found_again_canceled_and_removed(
    corner: Corner, platform: Platform
) -> None:
    wanted = a_job()
    async with reflecting(corner, OURS) as reflector:
        cluster = Cluster(corner.cluster.context, corner.client, reflector)
        engine = ArgoEngine(platform.objects, Clusters({cluster.name: cluster}), NOWHERE, LIMITS, PATIENCE)
        await begun(engine, wanted)
        made = await corner.client.get(WORKFLOWS, wanted.name)
        await begun(engine, wanted)
        again = await corner.client.get(WORKFLOWS, wanted.name)
        assert made is not None
        assert again is not None
        assert made["metadata"]["uid"] == again["metadata"]["uid"]
        assert await corner.client.get(CLAIMS, claim_name(wanted)) is not None
        await engine.cancel(wanted)
        await engine.remove(wanted)
    assert await corner.client.get(WORKFLOWS, wanted.name) is None
    left = await corner.client.get(CLAIMS, claim_name(wanted))
    assert left is None or "deletionTimestamp" in left["metadata"]


async def begun(engine: ArgoEngine, wanted: Job) -> None:
    async with asyncio.timeout(30), engine.follow(wanted) as events:
        async for event in events:
            assert not isinstance(event, Failed), event
            if isinstance(event, Line) and "runs in the cluster" in event.text:
                return
