"""The local engine with real worker processes."""

import asyncio
import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path

from odm_gateway.adapters.local_engine import LocalEngine
from odm_gateway.adapters.worker_process import LINE_AT_MOST_BYTES
from odm_gateway.ports import Completed, EngineEvent, Failed, Job, Line, Progressed
from shared.platform import Platform
from tests.support.gateway import stage_images
from tests.support.gateway_process import scripted_engine as engine

JOB = Job("t", "odm-pipeline-t", "staging/flight", None, (), "products/t")


async def events_of(engine: LocalEngine, job: Job = JOB) -> list[EngineEvent]:
    async with engine.follow(job) as events:
        return [event async for event in events]


def project(engine: LocalEngine) -> Path:
    return engine.work_dir / JOB.name / "project"


def is_running(process_id: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(process_id, 0)
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_a_finished_job_has_all_products_in_the_object_store(platform: Platform) -> None:
    await stage_images(platform)
    events = await events_of(engine(platform, "finish"))
    assert events[-1] == Completed(
        ("all.zip", "images.json", "odm_orthophoto/odm_orthophoto.tif"), {"images": 3}
    )
    names = json.loads(await platform.objects.read(f"{JOB.products}/images.json"))
    assert names == ["DJI_0000.JPG", "DJI_0001.JPG", "DJI_0002.JPG"]


async def test_progress_runs_from_staging_to_upload(platform: Platform) -> None:
    await stage_images(platform)
    told = [event for event in await events_of(engine(platform, "finish")) if isinstance(event, Progressed)]
    assert [event.percent for event in told] == sorted(event.percent for event in told)
    assert [told[0].stage, told[-1].stage] == ["staging", "upload"]


async def test_a_worker_killed_once_is_started_again(platform: Platform) -> None:
    await stage_images(platform)
    events = await events_of(engine(platform, "die_once"))
    assert isinstance(events[-1], Completed)
    assert any(isinstance(event, Line) and "started again" in event.text for event in events)


async def test_a_worker_killed_three_times_means_too_little_memory(platform: Platform) -> None:
    await stage_images(platform)
    killed = engine(platform, "die")
    [*_, last] = await events_of(killed)
    assert isinstance(last, Failed)
    assert last.message.startswith("Not enough memory: the worker was killed 3 times.")
    assert (project(killed) / "starts").read_text() == "xxx"


async def test_a_refusal_reaches_the_user_word_by_word(platform: Platform) -> None:
    await stage_images(platform)
    assert (await events_of(engine(platform, "refuse")))[-1] == Failed("None of the 3 photos has a position.")


async def test_running_out_of_memory_is_said_in_nodeodms_words(platform: Platform) -> None:
    await stage_images(platform)
    [*_, last] = await events_of(engine(platform, "run_out_of_memory"))
    assert last == Failed("Not enough memory: MemoryError: Unable to allocate 9 GiB")


async def test_a_bug_is_not_tried_again(platform: Platform) -> None:
    await stage_images(platform)
    broken = engine(platform, "break_down")
    assert (await events_of(broken))[-1] == Failed("Processing failed (2)")
    assert (project(broken) / "starts").read_text() == "x"


async def test_noise_and_huge_lines_do_no_harm(platform: Platform) -> None:
    await stage_images(platform)
    events = await events_of(engine(platform, "make_noise"))
    lines = [event.text for event in events if isinstance(event, Line)]
    assert isinstance(events[-1], Completed)
    assert {len(line) for line in lines} >= {len("no json"), 3_000_000}
    assert max(map(len, lines)) <= LINE_AT_MOST_BYTES


async def test_leaving_early_ends_the_worker_and_its_children(platform: Platform) -> None:
    await stage_images(platform)
    waiting = engine(platform, "wait")
    async with waiting.follow(JOB) as events:
        async for event in events:
            if isinstance(event, Progressed) and event.stage == "wait":
                break
    processes = [int((project(waiting) / name).read_text()) for name in ("pid", "child")]
    await asyncio.sleep(0.1)
    assert [is_running(process) for process in processes] == [False, False]


async def test_a_job_left_early_goes_on_where_it_was(platform: Platform) -> None:
    await stage_images(platform)
    slow = engine(platform, "work_slowly")
    async with slow.follow(JOB) as events:
        async for event in events:
            if event == Line("step 3"):
                break
    lines = [event.text for event in await events_of(slow) if isinstance(event, Line)]
    assert ("step 2" in lines, "step 3" in lines) == (False, True)


async def test_a_finished_run_is_uploaded_without_another_worker(platform: Platform) -> None:
    await stage_images(platform)
    await events_of(engine(platform, "finish"))
    assert isinstance((await events_of(engine(platform, "die")))[-1], Completed)


async def test_leftovers_of_a_lost_run_are_replaced(platform: Platform) -> None:
    await stage_images(platform)
    await platform.objects.put(f"{JOB.products}/all.zip", b"half of another archive")
    await events_of(engine(platform, "finish"))
    assert await platform.objects.read(f"{JOB.products}/all.zip") == b"archive"


async def test_a_project_in_use_is_waited_for(platform: Platform) -> None:
    await stage_images(platform)
    busy = engine(platform, "finish")
    project(busy).mkdir(parents=True)
    with (project(busy) / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        following = asyncio.create_task(events_of(busy))
        await asyncio.sleep(0.5)
        assert not following.done()
    assert isinstance((await following)[-1], Completed)


async def test_products_outside_the_project_are_not_taken(platform: Platform) -> None:
    await stage_images(platform)
    [*_, last] = await events_of(engine(platform, "promise_too_much"))
    assert last == Failed("The worker promised ../../escaped, but did not make it.")


async def test_removing_a_job_leaves_its_products(platform: Platform) -> None:
    await stage_images(platform)
    finished = engine(platform, "finish")
    await events_of(finished)
    await finished.remove(JOB)
    assert list(finished.work_dir.iterdir()) == []
    assert await platform.objects.stat(f"{JOB.products}/all.zip")
