"""A staged flight whose images are to be scaled becomes a flight of scaled images."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from ingest.domain.manifest import Manifest as IngestManifest
from odm_gateway.domain.manifest import Manifest as GatewayManifest
from scaler.domain.jobs import JobState
from shared.events import ImageScaled, ImagesStaged, Scale, TaskCompleted
from shared.platform import Platform
from tests.scaler.jobs.conftest import running_scaler, stage
from tests.scaler.pictures import exif_of, jpeg, size_of
from tests.support.listening import heard

GCP = b"EPSG:32633\n# name\n500000.5 5000000 310 10 20.5 2.jpg p1\r\n"


async def test_every_image_is_scaled_beside_the_originals_and_told_of_once(platform: Platform) -> None:
    images = {f"{number}.jpg": jpeg(number) for number in range(4)}
    texts = {"gcp_list.txt": GCP, "geo.txt": b"EPSG:4326\n0.jpg 1 2 3\n"}
    before = ({"path": "x.jpg", "reason": "empty", "kind": "zero-bytes"},)
    ask = await stage(platform, images, sidecars=texts, rejected=before)
    async with running_scaler(platform) as scaler:
        await scaler.tell(ask)
        event = await scaler.scaled()
        told = await heard(platform, ImageScaled, at_least=4)
    manifest = await scaler.manifest(event)
    scaled = {file.path: await platform.objects.read(file.key) for file in manifest.images}
    texts_now = {file.path: await platform.objects.read(file.key) for file in manifest.sidecars}

    assert {path: size_of(content) for path, content in scaled.items()} == dict.fromkeys(images, (96, 64))
    assert [file.sha256 for file in manifest.images] == [sha256(one).hexdigest() for one in scaled.values()]
    assert {file.key.rpartition("/")[0] for file in manifest.images} == {"staging/f/1/scaled-2x/files"}
    assert texts_now["geo.txt"] == texts["geo.txt"]
    assert texts_now["gcp_list.txt"] == GCP.replace(b" 10 20.5 ", b" 20.5 41.5 ")
    assert [file.path for file in manifest.rejected] == ["x.jpg"]
    assert (event.data.scale.requested, event.data.scale.applied) == (2, 2)
    assert (event.data.image_count, event.data.total_bytes) == (4, sum(map(len, scaled.values())))
    assert event.data.prefix == platform.objects.uri("staging/f/1/scaled-2x/files")
    assert sorted(one.data.target for one in told) == [
        platform.objects.uri(file.key) for file in manifest.images
    ]
    assert {(one.data.flight_id, one.data.width, one.data.height) for one in told} == {("f", 96, 64)}
    assert event.causationid == ask.id


async def test_ingest_and_the_gateway_can_read_the_manifest(platform: Platform) -> None:
    images = {"a/1.jpg": jpeg(1), "b/1.jpg": jpeg(2), "bad.jpg": jpeg(3)[:-40]}
    async with running_scaler(platform) as scaler:
        await scaler.tell(await stage(platform, images, sidecars={"gcp_list.txt": GCP}))
        event = await scaler.scaled()
    content = await platform.objects.read(platform.objects.key(event.data.manifest or ""))
    as_ingest, as_gateway = (
        IngestManifest.model_validate_json(content),
        GatewayManifest.model_validate_json(content),
    )
    assert [file.path for file in as_ingest.images] == ["a/1.jpg", "b/1.jpg"]
    assert [(file.path, file.kind.value) for file in as_ingest.rejected] == [("bad.jpg", "truncated")]
    assert [(file.path, file.role) for file in as_gateway.with_roles().sidecars] == [("gcp_list.txt", "gcp")]


async def test_pixels_and_tags_are_those_of_the_image_codec(platform: Platform) -> None:
    async with running_scaler(platform) as scaler:
        await scaler.tell(await stage(platform, {"1.jpg": jpeg(1)}, scale=0.5))
        manifest = await scaler.manifest(await scaler.scaled())
    content = await platform.objects.read(manifest.images[0].key)
    assert size_of(content) == (24, 16)
    assert exif_of(content) == exif_of(jpeg(1))
    assert manifest.scale.factor == 0.5
    assert "scaled-0.5x" in manifest.images[0].key


@pytest.mark.parametrize("scale", [Scale(), Scale(requested=2, applied=2)])
async def test_what_nobody_wants_scaled_or_is_scaled_is_left_alone(platform: Platform, scale: Scale) -> None:
    ask = await stage(platform, {"1.jpg": jpeg(1)})
    async with running_scaler(platform) as scaler:
        await scaler.tell(ask.model_copy(update={"data": ask.data.model_copy(update={"scale": scale})}))
        await scaler.tell(await stage(platform, {"1.jpg": jpeg(1)}, flight="other"))
        await scaler.job(JobState.DONE)
        assert [document.id for document in (await scaler.jobs.find({})).items] == ["other.1.2x"]


async def test_too_many_rejected_images_fail_the_job_and_tell_the_owner(platform: Platform) -> None:
    images = {f"{number}.jpg": jpeg(number) for number in range(3)}
    images |= {"empty.jpg": b"", "cut.jpg": jpeg(9)[:300]}
    async with running_scaler(platform) as scaler:
        await scaler.tell(await stage(platform, images))
        (event,) = await heard(platform, TaskCompleted, at_least=1)
        job = await scaler.job(JobState.FAILED)

    assert (event.data.kind, event.data.status) == ("scaler", "failed")
    assert (event.data.flight_id, event.data.version, event.data.rerun) == ("f", "1", 0)
    assert event.data.error == job.error
    assert "2 of 5 images of meadow cannot be scaled (1 truncated, 1 zero-bytes): cut.jpg: " in (
        job.error or ""
    )
    assert job.amounts.images_done == 5


async def test_an_image_that_is_not_what_was_staged_is_left_out(platform: Platform) -> None:
    images = {f"{number}.jpg": jpeg(number) for number in range(3)}
    ask = await stage(platform, images)
    await platform.objects.put("staging/f/1/files/1.jpg", jpeg(7))
    async with running_scaler(platform) as scaler:
        await scaler.tell(ask)
        manifest = await scaler.manifest(await scaler.scaled())
    assert [(file.path, file.code) for file in manifest.rejected] == [("1.jpg", "changed")]


@pytest.mark.parametrize("manifest", ["gone", "none", "of another store"])
async def test_a_flight_that_cannot_be_read_fails_with_a_sentence(platform: Platform, manifest: str) -> None:
    ask = await stage(platform, {"1.jpg": jpeg(1)})
    if manifest == "gone":
        await platform.objects.delete("staging/f/1/manifest.json")
    elif manifest == "none":
        await platform.objects.put("staging/f/1/manifest.json", b'{"pictures": []}')
    else:
        elsewhere = ask.data.model_copy(update={"manifest": "s3://elsewhere/manifest.json"})
        ask = ask.model_copy(update={"data": elsewhere})
    async with running_scaler(platform) as scaler:
        await scaler.tell(ask)
        (event,) = await heard(platform, TaskCompleted, at_least=1)
    reason = {"gone": "is gone", "none": "is no manifest of images", "of another store": "not in this store"}
    assert reason[manifest] in (event.data.error or "")


async def test_without_a_manifest_all_below_the_prefix_counts(platform: Platform) -> None:
    for path, content in {"1.jpg": jpeg(1), "sub/2.jpg": jpeg(2), "gcp_list.txt": GCP}.items():
        await platform.objects.put(f"uploads/one/{path}", content)
    ask = await stage(
        platform, {}, manifest=None, prefix=platform.objects.uri("uploads/one"), image_count=2, total_bytes=2
    )
    async with running_scaler(platform) as scaler:
        await scaler.tell(ask)
        manifest = await scaler.manifest(await scaler.scaled())
    assert [file.path for file in manifest.images] == ["1.jpg", "sub/2.jpg"]
    assert [file.path for file in manifest.sidecars] == ["gcp_list.txt"]


async def test_the_same_request_again_changes_nothing(platform: Platform) -> None:
    ask = await stage(platform, {"1.jpg": jpeg(1)})
    async with running_scaler(platform) as scaler:
        await scaler.tell(ask)
        await scaler.scaled()
        first = (await scaler.jobs.find({})).items[0].record
        await scaler.tell(ask)
        await scaler.tell(await stage(platform, {"1.jpg": jpeg(1)}, flight="other"))
        assert (await scaler.scaled()).data.flight_id == "other"
        again = (await scaler.jobs.load("f.1.2x")).record
    assert again.body == first.body


async def test_a_rerun_is_answered_from_what_is_scaled(platform: Platform) -> None:
    images = {f"{number}.jpg": jpeg(number) for number in range(3)}
    async with running_scaler(platform) as scaler:
        await scaler.tell(await stage(platform, images))
        first = await scaler.manifest(await scaler.scaled())
        before = [await platform.objects.stat(file.key) for file in first.images]
        await scaler.tell(await stage(platform, images, rerun=1))
        event = await scaler.scaled()
        after = [await platform.objects.stat(file.key) for file in first.images]
        told = await heard(platform, ImageScaled, at_least=3)
    assert (event.data.rerun, event.data.image_count) == (1, 3)
    assert after == before
    assert len(told) == 3


async def test_a_rerun_with_more_images_scales_only_those(platform: Platform) -> None:
    images = {f"{number}.jpg": jpeg(number) for number in range(3)}
    async with running_scaler(platform) as scaler:
        await scaler.tell(await stage(platform, images))
        first = await scaler.manifest(await scaler.scaled())
        before = [await platform.objects.stat(file.key) for file in first.images]
        more = {"0.jpg": jpeg(50)} | {f"{number}.jpg": jpeg(number) for number in range(1, 5)}
        await scaler.tell(await stage(platform, more, rerun=1))
        manifest = await scaler.manifest(await scaler.scaled())
        after = [await platform.objects.stat(file.key) for file in first.images]
        pieces = await scaler.paths("f.1.2x")
    assert [file.path for file in manifest.images] == [f"{number}.jpg" for number in range(5)]
    assert after[1:] == before[1:]
    assert after[0] != before[0]
    assert sorted(pieces) == [f"{number}.jpg" for number in range(5)]


async def test_a_rerun_with_fewer_images_leaves_none_of_the_others(platform: Platform) -> None:
    async with running_scaler(platform) as scaler:
        await scaler.tell(await stage(platform, {"1.jpg": jpeg(1), "2.jpg": jpeg(2)}))
        await scaler.scaled()
        await scaler.tell(await stage(platform, {"2.jpg": jpeg(2)}, rerun=1))
        event = await scaler.scaled()
    keys = [stored.key async for stored in platform.objects.list("staging/f/1/scaled-2x/files/")]
    assert (event.data.image_count, keys) == (1, ["staging/f/1/scaled-2x/files/2.jpg"])


async def test_a_failed_job_begins_anew_when_it_is_asked_for_again(platform: Platform) -> None:
    async with running_scaler(platform) as scaler:
        await scaler.tell(await stage(platform, {"1.jpg": b"no image"}))
        await heard(platform, TaskCompleted, at_least=1)
        await scaler.tell(await stage(platform, {"1.jpg": jpeg(1)}, rerun=1))
        event = await scaler.scaled()
    assert (event.data.rerun, event.data.image_count) == (1, 1)


async def test_an_object_store_that_is_out_of_order_is_waited_for(platform: Platform, tmp_path: Path) -> None:
    ask = await stage(platform, {"1.jpg": jpeg(1), "2.jpg": jpeg(2)})
    blocked = tmp_path / "home/objects/staging+/f+/1+/scaled-2x+"
    async with running_scaler(platform) as scaler:
        blocked.write_text("in the way")
        await scaler.tell(ask)
        async with asyncio.timeout(20):
            while not any(
                document.body.error for document in (await scaler.pieces.find({"job": "f.1.2x"})).items
            ):
                await asyncio.sleep(0.02)
        blocked.unlink()
        await scaler.scaled()
        job = await scaler.job(JobState.DONE)
    assert job.error is None


async def test_two_services_share_a_flight(platform: Platform) -> None:
    images = {f"{number:02}.jpg": jpeg(number) for number in range(24)}
    async with running_scaler(platform), running_scaler(platform) as scaler:
        await scaler.tell(await stage(platform, images))
        manifest = await scaler.manifest(await scaler.scaled())
        told = await heard(platform, ImageScaled, at_least=24)
    assert [file.path for file in manifest.images] == sorted(images)
    assert len({event.data.target for event in told}) == len({event.id for event in told}) == 24


async def test_reruns_that_come_together_are_each_answered_once(platform: Platform) -> None:
    async with running_scaler(platform) as scaler:
        for rerun in range(3):
            await scaler.tell(await stage(platform, {"1.jpg": jpeg(1)}, rerun=rerun))
        reruns: list[int] = []
        async with asyncio.timeout(20):
            while len(reruns) < 3:
                events = await heard(platform, ImagesStaged, at_least=1)
                reruns += [event.data.rerun for event in events if event.data.scale.applied]
    assert sorted(reruns) == [0, 1, 2]
