"""Why a job failed, in words that help whoever reads them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from odm_gateway.adapters.argo.engine import ArgoEngine
from odm_gateway.ports import Completed, Failed, Line
from shared.platform import Platform
from tests.support.kubernetes.cluster import SimulatedCluster
from tests.support.kubernetes.engine import PATIENCE, TICK, Heard, argo_engine, followed, job
from tests.support.kubernetes.scenarios import (
    BACK_OFF,
    EVICTED,
    SCRATCH_FULL,
    TOO_LONG,
    UNBOUND,
    UNREACHABLE,
    UNSCHEDULABLE,
    OdmRun,
    Scenario,
    failing,
    pod_lost,
    spot_lost,
)

JOB = job()


@pytest.fixture
async def engine(tmp_path: Path, platform: Platform, cluster: SimulatedCluster) -> AsyncIterator[ArgoEngine]:
    async with argo_engine(tmp_path, platform.objects, simulated=cluster) as engine:
        yield engine


async def run(engine: ArgoEngine, cluster: SimulatedCluster, scenario: Scenario) -> Heard:
    cluster.controller.scenario = lambda _name: scenario
    return await followed(engine, JOB)


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (1, "Cannot process dataset"), (134, "Cannot process dataset"), (139, "Cannot process dataset"),
        (137, "Not enough memory"), (132, "Unsupported CPU"), (3, "Installation issue"),
        (77, "Processing failed (77)"),
    ],
)  # fmt: skip
async def test_exit_codes_are_told_in_nodeodms_words(
    engine: ArgoEngine, cluster: SimulatedCluster, exit_code: int, words: str
) -> None:
    assert (await run(engine, cluster, failing(exit_code))).last == Failed(words)


async def test_what_the_runner_itself_says_is_told(engine: ArgoEngine, cluster: SimulatedCluster) -> None:
    heard = await run(engine, cluster, failing(1, "Could not start process (ENOENT)"))
    assert heard.last == Failed("Could not start process (ENOENT)")


async def test_a_lost_spot_node_is_survived(engine: ArgoEngine, cluster: SimulatedCluster) -> None:
    heard = await run(engine, cluster, spot_lost(1))
    assert isinstance(heard.last, Completed)
    assert len(heard.lines) == len(set(heard.lines)) == 10


async def test_spot_nodes_lost_too_often_are_no_fault_of_the_data(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    heard = await run(engine, cluster, spot_lost(3, then=None))
    assert isinstance(heard.last, Failed)
    assert heard.last.message.startswith("The cluster took the job's node away: Pod was terminated")


async def test_an_older_failure_does_not_hide_why_the_last_pod_went(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    oom = OdmRun(137, "OOMKilled (exit code 137)", chunks=1)
    lost = OdmRun(143, "pod deleted", phase="Error", chunks=1, leaves_failure=False)
    heard = await run(engine, cluster, Scenario(runs=(oom, lost)))
    assert heard.last == Failed("The cluster took the job's node away: pod deleted")


@pytest.mark.parametrize("step", ["fetch", "odm", "publish"])
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (BACK_OFF, "A container of the job cannot start"),
        ('CreateContainerConfigError: secret "s3" not found', "A container of the job cannot start"),
        (UNSCHEDULABLE, "The cluster has no room for the job"),
        (UNBOUND, "The job's volume cannot be provided"),
        ('PodInitializing: persistentvolumeclaim "ws-x" not found', "The job's volume cannot be provided"),
    ],
)
async def test_a_pod_that_cannot_start_is_given_up_with_the_clusters_words(
    tmp_path: Path, platform: Platform, cluster: SimulatedCluster, said: str, words: str, step: str
) -> None:
    short = timedelta(seconds=0.3)
    patience = replace(PATIENCE, trouble=short, no_room=short)
    async with argo_engine(tmp_path, platform.objects, patience, simulated=cluster) as engine:
        heard = await run(engine, cluster, Scenario(stays_pending=said, pending_step=step))
    assert heard.last == Failed(f"{words}: {said}")
    assert f"{words}: {said}" in heard.console
    assert cluster.workflows()[JOB.name]["spec"]["shutdown"] == "Stop"


@pytest.mark.parametrize("said", [UNSCHEDULABLE, BACK_OFF, UNBOUND])
async def test_who_waits_for_something_known_is_not_stuck(
    tmp_path: Path, platform: Platform, cluster: SimulatedCluster, said: str
) -> None:
    patience = replace(PATIENCE, stuck_after=timedelta(seconds=0.2), trouble=TICK * 24, no_room=TICK * 24)
    async with argo_engine(tmp_path, platform.objects, patience, simulated=cluster) as engine:
        heard = await run(engine, cluster, Scenario(stays_pending=said))
    assert isinstance(heard.last, Failed)
    assert said in heard.last.message


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (EVICTED, 137, f"The cluster took the job's node away: {EVICTED}"),
        (SCRATCH_FULL, 137, f"The job ran out of scratch space: {SCRATCH_FULL}"),
        (TOO_LONG, 143, "Processing took longer than its deadline."),
        (UNREACHABLE, 143, f"The cluster took the job's node away: {UNREACHABLE}"),
    ],
)
async def test_a_pod_that_is_taken_away_in_every_start_says_why(
    engine: ArgoEngine, cluster: SimulatedCluster, said: str, code: int, words: str
) -> None:
    assert (await run(engine, cluster, pod_lost(said, exit_code=code))).last == Failed(words)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Error (exit code 2): Processing ended without odm_dem/dsm.tif.", "Processing ended without"),
        ("main: Error (exit code 75): There is no space left", "There is no space left"),
        ("OOMKilled (exit code 137)", "OOMKilled (exit code 137)"),
    ],
)
async def test_products_that_cannot_be_stored_say_so(
    engine: ArgoEngine, cluster: SimulatedCluster, said: str, words: str
) -> None:
    last = (await run(engine, cluster, Scenario(publish_fails=said))).last
    assert isinstance(last, Failed)
    assert last.message.startswith(f"The products could not be stored: {words}")


async def test_an_image_that_can_be_pulled_after_all_fails_nothing(
    tmp_path: Path, platform: Platform, cluster: SimulatedCluster
) -> None:
    patience = replace(PATIENCE, trouble=timedelta(minutes=1))
    async with argo_engine(tmp_path, platform.objects, patience, simulated=cluster) as engine:
        cluster.controller.scenario = lambda _name: Scenario(stays_pending=BACK_OFF)
        async with asyncio.timeout(30), engine.follow(JOB) as events:
            async for event in events:
                assert not isinstance(event, Failed)
                if isinstance(event, Line) and "cannot start" in event.text:
                    return


async def test_a_template_that_is_missing_is_named(engine: ArgoEngine, cluster: SimulatedCluster) -> None:
    heard = await run(engine, cluster, Scenario(no_template=True))
    assert heard.last == Failed("The WorkflowTemplate odm-standard is not installed in the cluster.")


async def test_images_that_cannot_be_fetched_are_no_bad_dataset(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    heard = await run(engine, cluster, Scenario(fetch_fails="main: DJI_0001.JPG is damaged (exit code 1)"))
    assert heard.last == Failed(
        "The images could not be brought to the job: main: DJI_0001.JPG is damaged (exit code 1)"
    )
