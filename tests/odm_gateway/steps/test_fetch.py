import hashlib
import json
from pathlib import Path

import pytest

from odm_gateway.domain.job_manifest import JobManifest, job_file_key
from shared.exits import BAD_INPUT, TRY_LATER
from shared.objects.open import open_objects
from tests.odm_gateway.steps.cluster_job import NAME, PREFIX, ClusterJob, Steps, cluster_job


async def test_the_workspace_gets_images_what_lies_beside_them_and_the_job(job: ClusterJob) -> None:
    await job.submit(dsm=True, outputs=("log.json",))
    assert job.run("fetch")[0] == 0
    names = sorted(path.name for path in (job.odm.folder / "images").iterdir())
    assert names == ["DJI_0000.JPG", "DJI_0001.JPG", "DJI_0002.JPG", "geo.txt"]
    told = json.loads((job.odm.folder / "job.json").read_text())
    assert told["options"] == [{"name": "dsm", "value": True}]
    assert told["outputs"] == ["log.json"]


async def test_files_that_are_there_are_not_fetched_again(job: ClusterJob) -> None:
    await job.submit()
    content = await job.objects.read(f"{PREFIX}/DJI_0000.JPG")
    listed = {
        "path": "a.jpg", "key": f"{PREFIX}/DJI_0000.JPG", "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    await job.objects.put("m.json", json.dumps({"flight_id": "f", "images": [listed]}).encode())
    about = JobManifest(job=NAME, task_id="t", images_prefix=PREFIX, manifest="m.json", products="p")
    await job.objects.put(job_file_key(NAME), about.model_dump_json().encode())
    job.run("fetch")
    first = (job.odm.folder / "images/a.jpg").stat().st_ino
    job.run("fetch")
    assert (job.odm.folder / "images/a.jpg").stat().st_ino == first


async def test_a_job_that_is_not_there_is_refused_in_one_line(job: ClusterJob, tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    code, said = job.run("fetch", "--termination-log", str(log))
    assert code == BAD_INPUT
    assert said.splitlines()[-1].startswith("The job cannot be read")
    assert log.read_text() == said.splitlines()[-1]


async def test_images_that_are_gone_are_refused(job: ClusterJob) -> None:
    await job.submit()
    for stored in [stored.key async for stored in job.objects.list(PREFIX)]:
        await job.objects.delete(stored)
    code, said = job.run("fetch")
    assert (code, "no images" in said) == (BAD_INPUT, True)


async def test_a_volume_that_is_too_small_is_told_before_it_is_full(
    steps: Steps, full_disk: Path, tmp_path: Path
) -> None:
    url = (tmp_path / "objects").as_uri()
    async with open_objects(url) as objects:
        job = cluster_job(steps, objects, url, full_disk)
        await job.submit()
        code, said = job.run("fetch")
    assert (code, "needs a larger volume" in said) == (BAD_INPUT, True)
    assert not list((full_disk / "workspace/images").iterdir())


async def test_an_object_store_that_is_away_is_worth_another_try(job: ClusterJob) -> None:
    await job.submit()
    environment = {
        "FLIGHTLINE_OBJECTS": "s3://bucket", "FLIGHTLINE_S3_ENDPOINT": "http://127.0.0.1:9",
        "FLIGHTLINE_S3_ACCESS_KEY": "a", "FLIGHTLINE_S3_SECRET_KEY": "hidden-b",
    }  # fmt: skip
    away = ClusterJob(job.steps, job.objects, job.odm, environment)
    code, said = away.run("fetch", "--manifest", job_file_key(NAME))
    assert code == TRY_LATER
    assert "hidden-b" not in said


@pytest.mark.parametrize("step", ["fetch", "publish", "ship"])
def test_help_says_what_each_step_does(job: ClusterJob, step: str) -> None:
    assert job.run(step, "--help")[0] == 0
