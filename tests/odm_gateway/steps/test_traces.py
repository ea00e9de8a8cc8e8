"""Steps belong to the trace that their workflow names."""

from __future__ import annotations

import asyncio
from pathlib import Path

from shared.exits import BAD_INPUT
from shared.objects.open import open_objects
from tests.odm_gateway.steps.cluster_job import Steps, cluster_job
from tests.support.collector import open_collector

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_step_is_a_span_of_the_workflow_s_trace_and_so_are_its_failures(
    steps: Steps, tmp_path: Path
) -> None:
    url = (tmp_path / "objects").as_uri()
    async with open_collector() as collector, open_objects(url) as objects:
        told = {"TRACEPARENT": CALLER, "FLIGHTLINE_OTLP_ENDPOINT": collector.url}
        job = cluster_job(steps, objects, url, tmp_path, told)
        refused, _ = await asyncio.to_thread(job.run, "fetch")
        await job.submit()
        done, said = await asyncio.to_thread(job.run, "fetch")

    assert (refused, done) == (BAD_INPUT, 0), said
    failed, fine = collector.named("step fetch")
    assert {(one.trace_id, one.parent_id) for one in (failed, fine)} == {tuple(CALLER.split("-")[1:3])}
    assert (failed.service, fine.error) == ("odm-fetch", None)
    assert failed.error is not None
    assert failed.error.startswith("The job cannot be read")


async def test_a_step_without_a_trace_does_its_work(steps: Steps, tmp_path: Path) -> None:
    url = (tmp_path / "objects").as_uri()
    async with open_objects(url) as objects:
        job = cluster_job(steps, objects, url, tmp_path, {"TRACEPARENT": ""})
        await job.submit()
        code, said = await asyncio.to_thread(job.run, "fetch")

    assert code == 0, said
