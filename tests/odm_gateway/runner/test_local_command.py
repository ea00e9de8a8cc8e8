"""A real ODM on this machine: its stand-in behind the whole gateway, and behind its engine alone."""

import asyncio
import io
import os
import signal
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from odm_gateway.adapters.local_engine import STAGED_PERCENT, WORKED_PERCENT, LocalEngine
from odm_gateway.config import EngineKind, Settings
from odm_gateway.odm_worker import local_command
from odm_gateway.ports import Completed, EngineEvent, Failed, Job, Line, Progressed
from shared.events import Option
from shared.platform import Platform
from tests.odm_gateway.runner.workspaces import is_running
from tests.support import scripted_odm
from tests.support.gateway import GatewayClient, opened_platform, running_gateway, stage_images

CANCELED, COMPLETED, FAILED = 50, 40, 30


def command(behaviour: str) -> str:
    return f"{sys.executable} '{scripted_odm.__file__}' {behaviour}"


def gateway(home: Path, behaviour: str) -> AbstractAsyncContextManager[GatewayClient]:
    return running_gateway(home, engine=EngineKind.LOCAL, local_command=command(behaviour))


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with opened_platform(tmp_path) as platform:
        await stage_images(platform)
        yield platform


def engine(platform: Platform, behaviour: str) -> LocalEngine:
    work = platform.settings.home / "work"
    return LocalEngine(platform.objects, work, local_command(command(behaviour)))


def job(*, outputs: tuple[str, ...] = (), **options: Any) -> Job:
    named = tuple(Option(name=name.replace("_", "-"), value=value) for name, value in options.items())
    return Job("t", "odm-pipeline-t", "staging/flight", None, named, "products/t", outputs)


async def events_of(engine: LocalEngine, job: Job) -> list[EngineEvent]:
    async with engine.follow(job) as events:
        return [event async for event in events]


def project(home: Path) -> Path:
    return next((home / "work").glob("*/project"))


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(StopIteration, FileNotFoundError):
                if is_so():
                    return
            await asyncio.sleep(0.05)


def programs(home: Path) -> list[int]:
    return [int(line) for line in (project(home) / "programs").read_text().split()]


async def test_a_client_gets_all_products_of_a_real_odm(tmp_path: Path) -> None:
    async with gateway(tmp_path, "slow") as client:
        options = '[{"name": "dsm", "value": true}]'
        uuid = await client.new_task(options=options, skipPostProcessing="true")
        info = await client.finished(uuid)
        assert (info["status"]["code"], info["progress"]) == (COMPLETED, 100)
        output = await client.get(f"/task/{uuid}/output")
        archive = await client.http.get(f"/task/{uuid}/download/all.zip")
        surface = await client.http.get(f"/task/{uuid}/download/dsm.tif")
    assert {"[INFO]    Found 3 usable images", "[INFO]    Finished odm_report stage"} <= set(output)
    names = zipfile.ZipFile(io.BytesIO(archive.content)).namelist()
    assert {"odm_orthophoto/odm_orthophoto.tif", "odm_dem/dsm.tif", "task_output.txt"} <= set(names)
    assert surface.content == b"heights"


async def test_a_failure_is_told_in_nodeodms_words(tmp_path: Path) -> None:
    async with gateway(tmp_path, "exit:137") as client:
        info = await client.finished(await client.new_task())
    assert info["status"] == {"code": FAILED, "errorMessage": "Not enough memory"}


async def test_a_cancel_ends_everything_that_odm_started(tmp_path: Path) -> None:
    async with gateway(tmp_path, "hang") as client:
        uuid = await client.new_task()
        await until(lambda: programs(tmp_path))
        assert (await client.post("/task/cancel", data={"uuid": uuid}))["success"]
        assert (await client.finished(uuid))["status"]["code"] == CANCELED
        running = programs(tmp_path)
        await until(lambda: not any(is_running(program) for program in running))


async def test_progress_is_odms_own(platform: Platform) -> None:
    events = await events_of(engine(platform, "slow"), job())
    told = [event for event in events if isinstance(event, Progressed)]
    assert {stage for stage, _ in scripted_odm.STAGES} & {event.stage for event in told}
    assert [event.percent for event in told] == sorted(event.percent for event in told)
    assert any(STAGED_PERCENT < event.percent < WORKED_PERCENT for event in told)


async def test_a_killed_worker_is_followed_by_one_that_goes_on(platform: Platform) -> None:
    home = platform.settings.home
    following = asyncio.create_task(events_of(engine(platform, "slow"), job()))
    await until(lambda: len((project(home) / "worked").read_text().split()) >= 5)
    [worker] = workers(home)
    os.kill(worker, signal.SIGKILL)
    events = await following
    assert isinstance(events[-1], Completed)
    assert any(isinstance(event, Line) and "started again" in event.text for event in events)
    assert (project(home) / "worked").read_text().split().count("dataset") == 1


def workers(home: Path) -> list[int]:
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [int(path.name) for path in processes if is_worker(path, home)]


def is_worker(process: Path, home: Path) -> bool:
    with suppress(OSError):
        called = (process / "cmdline").read_bytes()
        return b"odm_gateway.odm_worker" in called and str(home).encode() in called
    return False


async def test_leaving_early_ends_odm_and_coming_back_goes_on(platform: Platform) -> None:
    slow, home = engine(platform, "slow"), platform.settings.home
    async with slow.follow(job()) as events:
        async for event in events:
            if isinstance(event, Line) and "Finished opensfm" in event.text:
                break
    assert isinstance((await events_of(slow, job()))[-1], Completed)
    assert (project(home) / "worked").read_text().split().count("dataset") == 1


async def test_the_outputs_that_a_client_wants_are_in_its_archive(platform: Platform) -> None:
    events = await events_of(engine(platform, "finish"), job(outputs=("opensfm/matches", "cameras.json")))
    assert isinstance(events[-1], Completed)
    content = await platform.objects.read("products/t/all.zip")
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["cameras.json", "opensfm/matches/a.pkl.gz"]


async def test_a_good_end_without_its_products_is_a_failure(platform: Platform) -> None:
    [*_, last] = await events_of(engine(platform, "no-map"), job())
    assert last == Failed("Processing ended without odm_orthophoto/odm_orthophoto.tif.")


async def test_an_early_end_that_was_asked_for_is_none(platform: Platform) -> None:
    [*_, last] = await events_of(engine(platform, "finish"), job(end_with="odm_filterpoints"))
    assert isinstance(last, Completed)


async def test_a_command_that_is_not_there_says_so(platform: Platform) -> None:
    missing = LocalEngine(platform.objects, platform.settings.home / "work", local_command("/nowhere/odm"))
    [*_, last] = await events_of(missing, job())
    assert isinstance(last, Failed)
    assert last.message.startswith("Could not start process (")


@pytest.mark.parametrize("text", ["", "  ", "docker 'run"])
def test_a_command_that_is_none_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match=r"command|quote"):
        Settings(local_command=text)
