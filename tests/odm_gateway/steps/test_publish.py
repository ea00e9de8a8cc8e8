import json
from pathlib import Path

import pytest

from shared.exits import BAD_INPUT
from tests.odm_gateway.steps.cluster_job import PRODUCTS, ClusterJob


async def finished(job: ClusterJob, behaviour: str = "finish") -> None:
    job.run("fetch")
    assert job.pod(behaviour) == 0


async def test_a_good_end_without_an_orthophoto_is_refused(job: ClusterJob) -> None:
    await job.submit()
    await finished(job, "no-map")
    code, said = job.run("publish")
    assert code == BAD_INPUT
    assert said.splitlines()[-1] == "Processing ended without odm_orthophoto/odm_orthophoto.tif."
    assert await job.told("result.json") is None


async def test_what_a_client_did_not_want_is_not_missed(job: ClusterJob) -> None:
    await job.submit(skip_orthophoto=True)
    await finished(job)
    assert job.run("publish")[0] == 0


async def test_with_outputs_the_archive_alone_is_required(job: ClusterJob) -> None:
    await job.submit(outputs=("opensfm/matches",))
    await finished(job)
    assert job.run("publish")[0] == 0
    assert (await job.told("result.json"))["assets"] == ["all.zip"]


async def test_publishing_twice_stores_once(job: ClusterJob) -> None:
    await job.submit()
    await finished(job)
    job.run("publish")
    before = [stored.etag async for stored in job.objects.list(PRODUCTS)]
    assert job.run("publish")[0] == 0
    assert [stored.etag async for stored in job.objects.list(PRODUCTS)] == before


async def test_products_of_an_earlier_attempt_are_replaced(job: ClusterJob) -> None:
    await job.submit()
    await finished(job)
    await job.objects.put(f"{PRODUCTS}/all.zip", b"another one")
    job.run("publish")
    stored = await job.objects.stat(f"{PRODUCTS}/all.zip")
    assert stored is not None
    assert stored.size_bytes == (job.odm.project / "all.zip").stat().st_size


@pytest.mark.parametrize("path", ["odm_report/../../../secret", "/etc/passwd", "odm_report/link"])
async def test_paths_that_lead_out_are_never_read(job: ClusterJob, tmp_path: Path, path: str) -> None:
    await job.submit()
    await finished(job)
    (tmp_path / "secret").write_text("secret")
    (job.odm.project / "odm_report/link").symlink_to(tmp_path / "secret")
    (job.odm.folder / "assets.json").write_text(json.dumps([*job.odm.assets(), path]))
    job.run("publish")
    contents = [await job.objects.read(stored.key) async for stored in job.objects.list(PRODUCTS)]
    assert not any(content == b"secret" or b"root:" in content for content in contents)


async def test_nothing_is_published_before_there_is_a_list(job: ClusterJob) -> None:
    await job.submit()
    code, said = job.run("publish")
    assert (code, "no list of products" in said) == (BAD_INPUT, True)
