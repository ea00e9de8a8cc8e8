"""Images go from the raw folder to the unsorted one, on every server."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

from scaler.domain.raw_images import ImageState
from tests.scaler.pictures import HEIGHT, WIDTH, exif_of, jpeg, size_of
from tests.scaler.webdav.conftest import RAW, UNSORTED, raw, scaled, scaling
from tests.support.dav_servers.running import RunningDav


async def test_images_are_scaled_verified_told_of_and_their_originals_deleted(
    dav_server: RunningDav, home: Path
) -> None:
    sources = {f"Unknown {number} ä%#?.jpg": jpeg(number) for number in range(3)}
    for name, content in sources.items():
        dav_server.stored.put(f"{RAW}/{name}", content)
    dav_server.stored.put(f"{RAW}/Other.jpg", jpeg(9))

    async with scaling(dav_server, home) as running:
        await running.until(lambda: raw(dav_server) == {"Other.jpg"})
        await running.until(lambda: running.mode.session is not None and not running.mode.session.in_hand)
        told = await running.told()
        documents = await running.images()

    results = {name: dav_server.stored.get(f"{UNSORTED}/{name}") for name in scaled(dav_server)}
    assert len(results) == len(sources)
    for name, content in sources.items():
        digest = sha256(content).hexdigest()[:12]
        (found,) = [result for result in results if result.endswith(f"_{digest}.jpg")]
        assert f"_{name[:-4].replace('?', '_')}_" in found
        assert size_of(results[found]) == (2 * WIDTH, 2 * HEIGHT)
        assert exif_of(results[found]) == exif_of(content)
    assert {image.state for image in documents} == {ImageState.DONE}
    assert sorted(event.sha256 for event in told) == sorted(
        sha256(result).hexdigest() for result in results.values()
    )
    assert {(event.scale, event.width, event.height) for event in told} == {(2.0, 2 * WIDTH, 2 * HEIGHT)}
    assert all(event.source.startswith("dav://127.0.0.1:") for event in told)


async def test_images_that_come_later_are_found_too(nextcloud: RunningDav, home: Path) -> None:
    nextcloud.stored.put(f"{RAW}/nothing.txt", b"")

    async with scaling(nextcloud, home) as running:
        for number in range(3):
            nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(number))
            await running.until(lambda: raw(nextcloud) == {"nothing.txt"})

    assert len(scaled(nextcloud)) == 3


async def test_more_images_than_transfers_at_once(nextcloud: RunningDav, home: Path) -> None:
    for number in range(25):
        nextcloud.stored.put(f"{RAW}/Unknown {number}.jpg", jpeg(number))

    async with scaling(nextcloud, home, transfers_at_once=10) as running:
        await running.until(lambda: not raw(nextcloud))

    assert len(scaled(nextcloud)) == 25


async def test_two_processes_scale_each_image_once(nextcloud: RunningDav, tmp_path: Path) -> None:
    for number in range(12):
        nextcloud.stored.put(f"{RAW}/Unknown {number}.jpg", jpeg(number))

    async with (
        scaling(nextcloud, tmp_path / "shared", transfers_at_once=2) as one,
        scaling(nextcloud, tmp_path / "shared", transfers_at_once=2),
        scaling(nextcloud, tmp_path / "of its own", transfers_at_once=2) as stranger,
    ):
        await one.until(lambda: not raw(nextcloud))
        await asyncio.sleep(0.5)
        told = await one.told() + await stranger.told()

    assert len(scaled(nextcloud)) == 12
    assert {event.target.rpartition("/")[2] for event in told} == {
        name.replace(" ", "%20") for name in scaled(nextcloud)
    }
