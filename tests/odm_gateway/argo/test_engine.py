"""What a follower of a job hears, whatever its workflow goes through."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from odm_gateway.adapters.argo.engine import ArgoEngine
from odm_gateway.adapters.argo.submission import FINALIZER
from odm_gateway.ports import Completed, Failed, Line, Progressed
from shared.errors import TransientError
from shared.events import Option
from shared.platform import Platform
from tests.support.kubernetes.cluster import SimulatedCluster
from tests.support.kubernetes.engine import PATIENCE, Heard, argo_engine, followed, job
from tests.support.kubernetes.scenarios import (
    Scenario,
    failing,
    out_of_memory,
)
from tests.support.logs import log_lines
from tests.support.trouble import eventually

JOB = job()


@pytest.fixture
async def engine(tmp_path: Path, platform: Platform, cluster: SimulatedCluster) -> AsyncIterator[ArgoEngine]:
    async with argo_engine(tmp_path, platform.objects, simulated=cluster) as engine:
        yield engine


async def run(engine: ArgoEngine, cluster: SimulatedCluster, scenario: Scenario) -> Heard:
    cluster.controller.scenario = lambda _name: scenario
    return await followed(engine, JOB)


async def test_a_job_tells_its_console_and_progress_and_ends_with_its_products(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    heard = await run(engine, cluster, Scenario())
    assert heard.lines == [f"[INFO]    run 0 line {number}" for number in range(6)]
    percents = [event.percent for event in heard.events if isinstance(event, Progressed)]
    assert percents == sorted(percents)
    assert heard.last == Completed(("all.zip", "odm_orthophoto/odm_orthophoto.tif"), {"gsd": 2.5})


async def test_what_goes_as_it_should_is_told_by_our_own_logs_alone(engine: ArgoEngine) -> None:
    with log_lines("odm-gateway") as lines:
        await followed(engine, JOB)
        await engine.remove(JOB)
    loggers = {json.loads(line)["logger"].partition(".")[0] for line in lines.getvalue().splitlines()}
    assert loggers - {"aiohttp"} == {"odm_gateway"}  # the latter: of the simulated cluster


async def test_a_burst_of_changes_is_one_look(
    tmp_path: Path, platform: Platform, cluster: SimulatedCluster
) -> None:
    calm = replace(PATIENCE, settle=timedelta(minutes=5), look=(timedelta(minutes=5), timedelta(minutes=5)))
    async with argo_engine(tmp_path, platform.objects, calm, simulated=cluster) as engine:
        heard = await run(engine, cluster, Scenario())
    assert isinstance(heard.last, Completed)
    assert cluster.api.calls["get", "workflows"] <= 3  # whether it is there, at most its beginning, its end


async def test_an_end_that_comes_while_the_workflow_is_looked_at_is_noticed(
    tmp_path: Path, platform: Platform, cluster: SimulatedCluster
) -> None:
    rarely = replace(PATIENCE, look=(timedelta(minutes=5), timedelta(minutes=5)))
    async with argo_engine(tmp_path, platform.objects, rarely, simulated=cluster) as engine:
        watch = engine.clusters.named("simulated").reflector
        cluster.api.faults.holds_back = lambda: watch.open_count > 0
        heard = await run(engine, cluster, Scenario())
    assert isinstance(heard.last, Completed)


async def test_the_steps_are_told_what_the_job_is(
    engine: ArgoEngine, cluster: SimulatedCluster, platform: Platform
) -> None:
    wanted = job(options=(Option(name="dsm", value=True),), outputs=("odm_dem",), tenant="Survey & Co.")
    await followed(engine, wanted)
    told = json.loads(await platform.objects.read(f"jobs/{wanted.name}/job.json"))
    assert (told["job"], told["products"], told["images_prefix"]) == (
        wanted.name,
        wanted.products,
        "staging/flight",
    )
    assert (told["options"], told["outputs"]) == ([{"name": "dsm", "value": True}], ["odm_dem"])
    labels = cluster.workflows()[wanted.name]["metadata"]["labels"]
    assert labels["flightline.io/tenant"] == "Survey___Co"


async def test_a_job_that_runs_out_of_memory_climbs_the_ladder(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    heard = await run(engine, cluster, out_of_memory(2))
    assert isinstance(heard.last, Completed)
    given = [int(memory.removesuffix("Gi")) for memory in cluster.controller.memory[JOB.name]]
    assert given == sorted(set(given))
    assert len(heard.lines) == len(set(heard.lines)) == 10


async def test_a_job_that_needs_more_than_the_ladder_has_says_so(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    heard = await run(engine, cluster, out_of_memory(4, then=None))
    assert heard.last == Failed("Not enough memory")
    assert "Peak memory: 7.0 GiB" in heard.console


async def test_a_status_that_argo_packed_is_read(engine: ArgoEngine, cluster: SimulatedCluster) -> None:
    scenario = replace(failing(1), packs_nodes=True)
    assert (await run(engine, cluster, scenario)).last == Failed("Cannot process dataset")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("none", "The workflow succeeded, but its result is missing."),
        (
            "incomplete",
            "The workflow succeeded, but its product odm_orthophoto/odm_orthophoto.tif is missing.",
        ),
    ],
)
async def test_success_without_products_is_no_success(
    engine: ArgoEngine, cluster: SimulatedCluster, result: str, words: str
) -> None:
    assert (await run(engine, cluster, Scenario(result=result))).last == Failed(words)


async def test_a_result_may_be_a_little_late(engine: ArgoEngine, cluster: SimulatedCluster) -> None:
    assert isinstance((await run(engine, cluster, Scenario(result="late"))).last, Completed)


async def test_a_workflow_in_which_nothing_moves_is_stopped(
    tmp_path: Path, platform: Platform, cluster: SimulatedCluster
) -> None:
    patience = replace(PATIENCE, stuck_after=timedelta(seconds=0.5))
    async with argo_engine(tmp_path, platform.objects, patience, simulated=cluster) as engine:
        heard = await run(engine, cluster, Scenario(hangs=True))
    assert isinstance(heard.last, Failed)
    assert heard.last.message.startswith("The workflow is stuck")
    assert cluster.workflows()[JOB.name]["spec"]["shutdown"] == "Stop"


async def test_who_follows_later_hears_all_from_the_beginning(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    first = await run(engine, cluster, Scenario())
    again = await followed(engine, JOB)
    assert (again.lines, again.last) == (first.lines, first.last)
    assert cluster.controller.made == {JOB.name: 1}


async def test_a_job_that_was_left_is_gone_on_with(engine: ArgoEngine, cluster: SimulatedCluster) -> None:
    cluster.controller.scenario = lambda _name: Scenario(step_s=0.2)
    async with engine.follow(JOB) as events:
        async for event in events:
            if isinstance(event, Line) and "[INFO]" in event.text:
                break
    heard = await followed(engine, JOB)
    assert isinstance(heard.last, Completed)
    assert len(heard.lines) == 6
    assert cluster.controller.made == {JOB.name: 1}


async def test_a_workflow_that_ended_and_was_deleted_unseen_is_read_while_our_finalizer_holds_it(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    cluster.controller.scenario = lambda _name: replace(failing(132), ttl_s=0.0)
    async with engine.follow(JOB) as events:
        await anext(events)

    async def is_deleted() -> bool:
        return "deletionTimestamp" in cluster.workflows()[JOB.name]["metadata"]

    await eventually(is_deleted)
    assert (await followed(engine, JOB)).last == Failed("Unsupported CPU")
    await engine.remove(JOB)
    assert cluster.workflows() == {}


async def test_a_workflow_that_vanished_is_made_once_more(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    scenarios = [Scenario(hangs=True), Scenario()]
    cluster.controller.scenario = lambda _name: scenarios.pop(0)
    heard = asyncio.create_task(followed(engine, JOB))

    async def has_begun() -> bool:
        return bool(cluster.controller.memory.get(JOB.name))

    await eventually(has_begun)
    cluster.vanish(JOB.name)
    assert isinstance((await heard).last, Completed)
    assert cluster.controller.made == {JOB.name: 2}


async def test_a_workflow_that_vanishes_again_is_given_up(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    cluster.controller.scenario = lambda _name: Scenario(hangs=True)
    heard = asyncio.create_task(followed(engine, JOB))
    for times in (1, 2):

        async def has_begun(times: int = times) -> bool:
            return len(cluster.controller.memory.get(JOB.name, [])) == times

        await eventually(has_begun)
        await asyncio.sleep(0.2)  # until the submission is noted
        cluster.vanish(JOB.name)
    last = (await heard).last
    assert isinstance(last, Failed)
    assert "was deleted from the cluster simulated before it ended, 2 times" in last.message


async def test_a_workflow_that_vanished_after_its_result_was_stored_completed(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    await run(engine, cluster, Scenario())
    cluster.vanish(JOB.name)
    assert isinstance((await followed(engine, JOB)).last, Completed)
    assert cluster.controller.made == {JOB.name: 1}


async def test_a_foreign_object_of_the_same_name_is_left_alone(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    theirs = {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {"name": JOB.name}, "spec": {"arguments": {"parameters": []}},
    }  # fmt: skip
    cluster.api.storage.create("workflows", theirs)
    last = (await followed(engine, JOB)).last
    assert isinstance(last, Failed)
    assert "not ours" in last.message
    await engine.cancel(JOB)
    await engine.remove(JOB)
    assert "shutdown" not in cluster.workflows()[JOB.name]["spec"]


async def test_a_workflow_made_without_hearing_of_it_is_found_again(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    cluster.api.faults.lose_answers = 1  # the claim's
    with pytest.raises(TransientError):
        await followed(engine, JOB)
    assert cluster.workflows() == {}
    cluster.api.storage.delete("persistentvolumeclaims", f"ws-{JOB.name}")
    cluster.api.faults.lose_answers = 2
    for _ in range(2):
        with pytest.raises(TransientError):
            await followed(engine, JOB)
    assert isinstance((await followed(engine, JOB)).last, Completed)
    assert cluster.controller.made == {JOB.name: 1}


async def test_a_refused_workflow_fails_the_job_and_says_why(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    cluster.api.faults.forbidden.add(("create", "workflows"))
    last = (await followed(engine, JOB)).last
    assert isinstance(last, Failed)
    assert last.message.startswith("The cluster does not let the gateway create workflows")


async def test_trouble_of_the_api_on_the_way_is_not_heard_of(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    cluster.controller.scenario = lambda _name: Scenario(step_s=0.2)
    heard = asyncio.create_task(followed(engine, JOB))

    async def has_begun() -> bool:
        return bool(cluster.controller.memory.get(JOB.name))

    await eventually(has_begun)
    cluster.api.faults.refuse_next = [500, 503, 429, 403] * 3
    await cluster.go_down(1.0)
    result = await heard
    assert isinstance(result.last, Completed)
    assert result.lines == [f"[INFO]    run 0 line {number}" for number in range(6)]


async def test_a_running_workflow_is_stopped(engine: ArgoEngine, cluster: SimulatedCluster) -> None:
    cluster.controller.scenario = lambda _name: Scenario(hangs=True)
    async with engine.follow(JOB) as events:
        async for event in events:
            if isinstance(event, Line) and "[INFO]" in event.text:
                break
    await engine.cancel(JOB)
    assert cluster.workflows()[JOB.name]["spec"]["shutdown"] == "Stop"
    await _ends(cluster)


async def test_a_workflow_that_waits_to_be_let_in_is_terminated(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    cluster.controller.admits = False
    async with engine.follow(JOB) as events:
        await anext(events)
    await engine.cancel(JOB)
    assert cluster.workflows()[JOB.name]["spec"]["shutdown"] == "Terminate"
    await _ends(cluster)


async def _ends(cluster: SimulatedCluster) -> None:
    async def has_ended() -> bool:
        return bool(cluster.workflows()[JOB.name]["status"]["phase"] == "Failed")

    await eventually(has_ended)


async def test_removing_leaves_nothing_behind_but_the_products(
    engine: ArgoEngine, cluster: SimulatedCluster, platform: Platform
) -> None:
    await followed(engine, JOB)
    assert FINALIZER in cluster.workflows()[JOB.name]["metadata"]["finalizers"]
    for _ in range(2):
        await engine.remove(JOB)
    assert (cluster.workflows(), cluster.claims()) == ({}, [])
    assert [stored.key async for stored in platform.objects.list("jobs/")] == []
    assert len([stored async for stored in platform.objects.list(f"{JOB.products}/")]) == 2


async def test_foreign_finalizers_stay(engine: ArgoEngine, cluster: SimulatedCluster) -> None:
    await followed(engine, JOB)
    finalizers = [FINALIZER, "workflows.argoproj.io/artifact-gc"]
    cluster.api.storage.merge("workflows", JOB.name, {"metadata": {"finalizers": finalizers}})
    await engine.remove(JOB)
    assert cluster.workflows()[JOB.name]["metadata"]["finalizers"] == finalizers[1:]


async def test_canceling_and_removing_what_never_was_is_fine(
    engine: ArgoEngine, cluster: SimulatedCluster
) -> None:
    await engine.cancel(JOB)
    await engine.remove(JOB)
    assert cluster.workflows() == {}
