"""fetch, odm with ship beside it, publish: as a workflow runs them, undisturbed and killed at any moment."""

import io
import random
import zipfile
from functools import partial
from pathlib import Path

import pytest

from odm_gateway.runner.workspace import Workspace
from tests.odm_gateway.steps.cluster_job import PRODUCTS, ClusterJob, Steps, cluster_job
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from tests.support.scripted_odm import STAGES

ASSETS = [
    "all.zip", "cameras.json", "images.json", "log.json", "odm_georeferencing/odm_georeferenced_model.laz",
    "odm_orthophoto/odm_orthophoto.tif", "odm_report/report.pdf", "task_output.txt",
]  # fmt: skip


async def check_result(job: ClusterJob) -> None:
    result = await job.told("result.json")
    assert (result["assets"], result["exit_code"], result["error"]) == (ASSETS, 0, None)
    stored = [await job.objects.stat(f"{PRODUCTS}/{asset}") for asset in ASSETS]
    assert all(stored)
    archive = zipfile.ZipFile(io.BytesIO(await job.objects.read(f"{PRODUCTS}/all.zip")))
    assert archive.testzip() is None
    assert archive.namelist() == ASSETS[1:]
    assert await job.told("failure.json") is None


async def test_a_job_goes_from_the_object_store_to_the_object_store(job: ClusterJob) -> None:
    await job.submit()
    assert job.run("fetch")[0] == 0
    assert job.pod("finish") == 0
    assert job.run("publish")[0] == 0
    await check_result(job)
    assert await job.console() == job.odm.lines()
    last = (await job.chunks())[-1]
    assert (last.percent, last.stage, last.peak_memory_bytes > 0) == (97, "archive", True)
    stored = await job.objects.stat(f"{PRODUCTS}/odm_orthophoto/odm_orthophoto.tif")
    assert stored is not None
    assert (stored.content_type, bool(stored.sha256)) == ("image/tiff", True)


async def test_a_job_can_be_done_on_s3(steps: Steps, s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.new_bucket()
    environment = {
        "FLIGHTLINE_S3_ENDPOINT": s3.endpoint_url, "FLIGHTLINE_S3_REGION": REGION,
        "FLIGHTLINE_S3_ACCESS_KEY": ACCESS_KEY, "FLIGHTLINE_S3_SECRET_KEY": SECRET_KEY.get_secret_value(),
    }  # fmt: skip
    async with s3.open(bucket, "flightline") as objects:
        job = cluster_job(steps, objects, f"s3://{bucket}/flightline", tmp_path, environment)
        await job.submit()
        assert job.run("fetch")[0] == 0
        assert job.pod("finish") == 0
        assert job.run("publish")[0] == 0
        await check_result(job)
        assert await job.console() == job.odm.lines()


async def test_a_failed_odm_says_why_and_a_retry_forgets_that(job: ClusterJob) -> None:
    await job.submit()
    job.run("fetch")
    assert job.pod("once:137") == 137
    failure = await job.told("failure.json")
    assert failure.pop("peak_memory_bytes") >= 0
    assert failure == {"exit_code": 137, "message": "Not enough memory"}
    assert job.pod("once:137") == 0
    assert await job.told("failure.json") is None
    assert await job.console() == job.odm.lines()
    assert job.odm.worked() == [stage for stage, _ in STAGES]


async def test_a_command_that_cannot_be_started_says_so(job: ClusterJob) -> None:
    await job.submit()
    job.run("fetch")
    with job.shipping():
        assert job.odm.run("", command=["/nowhere/run.py"])[0] == 127
    failure = await job.told("failure.json")
    assert failure["message"].startswith("Could not start process (")


def has_worked(job: ClusterJob, stages: int) -> bool:
    return len(job.odm.worked()) >= stages


def count(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 24))]
)
async def test_steps_killed_at_any_moment_are_made_good_by_the_next_ones(job: ClusterJob, seed: int) -> None:
    chance = random.Random(seed)
    images = job.odm.folder / "images"
    products = Path(job.environment["FLIGHTLINE_OBJECTS"].removeprefix("file://"), PRODUCTS)
    await job.submit()
    some_images, some_products = chance.randrange(5), chance.randrange(9)
    job.kill_at("fetch", lambda: count(images) >= some_images)
    assert job.run("fetch")[0] == 0
    for stages in sorted(chance.randrange(14) for _ in range(3)):
        with job.started("ship", "--every", "0.05"):
            job.odm.kill_at("slow", partial(has_worked, job, stages))
    assert job.pod("slow") == 0
    job.kill_at("publish", lambda: count(products) >= some_products)
    assert job.run("publish")[0] == 0
    await check_result(job)
    assert await job.console() == job.odm.lines()


async def test_a_lost_workspace_begins_again_and_its_console_goes_on(job: ClusterJob, tmp_path: Path) -> None:
    await job.submit()
    job.run("fetch")
    assert job.pod("exit:1") == 1
    before = await job.console()
    again = cluster_job(job.steps, job.objects, job.environment["FLIGHTLINE_OBJECTS"], tmp_path / "again")
    again.run("fetch")
    assert again.pod("finish") == 0
    assert await job.console() == before + again.odm.lines()
    assert Workspace(again.odm.folder).archive.is_file()
