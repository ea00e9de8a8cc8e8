from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from ingest.domain.transfers import TransferState
from shared.events import ImagesStaged, TaskCompleted, new_event
from tests.ingest.conftest import (
    JPEG,
    LADDER,
    Ingest,
    found_by_discovery,
    found_outside,
    opened,
    running_ingest,
)
from tests.support.listening import heard
from tests.support.processes import free_port
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server, s3_server
from tests.support.small_disk import CannotMountError, small_disk


async def test_every_image_is_staged_and_told_with_its_hash(ingest: Ingest, flight: Path) -> None:
    ask = await found_by_discovery(flight)
    await ingest.tell(ask)
    event = await ingest.staged()
    manifest = await ingest.manifest(event)

    assert (event.data.image_count, event.data.total_bytes) == (3, ask.data.total_bytes)
    assert [(file.path, file.sha256) for file in manifest.images] == [
        (path.name, sha256(path.read_bytes()).hexdigest()) for path in images_in(flight)
    ]
    assert event.causationid == ask.id


async def test_sidecars_are_staged_beside_the_images(ingest: Ingest, flight: Path) -> None:
    (flight / "gcp_list.txt").write_text("EPSG:32632")
    await ingest.tell(await found_by_discovery(flight))
    manifest = await ingest.manifest(await ingest.staged())

    assert [file.path for file in manifest.sidecars] == ["gcp_list.txt"]
    assert await ingest.platform.objects.read(manifest.sidecars[0].key) == b"EPSG:32632"


async def test_bad_files_are_left_out_each_with_its_reason(ingest: Ingest, flight: Path) -> None:
    (flight / "empty.jpg").touch()
    (flight / "text.jpg").write_text("hello")
    (flight / "out.jpg").symlink_to("/etc/hostname")
    (flight / "folder.jpg").mkdir()
    (flight / ("ü" * 120 + ".jpg")).write_bytes(JPEG)
    await ingest.tell(await found_by_discovery(flight))
    event = await ingest.staged()
    rejected = {file.path: file.reason for file in (await ingest.manifest(event)).rejected}

    assert event.data.image_count == 4
    assert rejected == {
        "empty.jpg": "empty: 0 bytes",
        "text.jpg": "not a JPEG: begins with 68 65 6c 6c, expected ff d8 ff",
        "out.jpg": "link that leads out of the folder",
        "folder.jpg": "a folder named like an image",
    }


async def test_a_flight_without_a_usable_image_fails_with_a_sentence(ingest: Ingest, flight: Path) -> None:
    for image in images_in(flight):
        image.write_text("hello")
    ask = await found_by_discovery(flight)
    await ingest.tell(ask)
    (event,) = await heard(ingest.platform, TaskCompleted, at_least=1)

    assert (event.data.kind, event.data.status, event.data.flight_id) == (
        "ingest",
        "failed",
        ask.data.flight_id,
    )
    assert str(event.data.error).startswith(
        "none of the 3 files of meadow is a usable image (0.jpg: not a JPEG"
    )


@pytest.mark.parametrize("again", ["the same event", "another event"])
async def test_the_same_request_is_answered_once(ingest: Ingest, flight: Path, again: str) -> None:
    ask = await found_by_discovery(flight)
    await ingest.tell(ask)
    await ingest.staged()
    await ingest.tell(ask if again == "the same event" else new_event("elsewhere", ask.data))
    await ingest.tell(await found_by_discovery(flight, rerun=1))

    assert (await ingest.staged()).data.rerun == 1
    assert await ingest.transfers.count({}) == 1


async def test_a_rerun_of_a_staged_version_copies_nothing(ingest: Ingest, flight: Path) -> None:
    await ingest.tell(await found_by_discovery(flight))
    first = await ingest.staged()
    ask = await found_by_discovery(flight, rerun=1)
    (flight / "0.jpg").unlink()
    await ingest.tell(ask)
    second = await ingest.staged()

    assert (second.data.rerun, second.data.manifest) == (1, first.data.manifest)


async def test_requests_that_come_at_once_are_each_answered_once(ingest: Ingest, flight: Path) -> None:
    asks = [await found_by_discovery(flight, rerun=number) for number in range(5)]
    await asyncio.gather(*(ingest.tell(ask) for ask in asks * 2))
    events = await heard(ingest.platform, ImagesStaged, at_least=5)

    assert sorted(event.data.rerun for event in events) == [0, 1, 2, 3, 4]


async def test_a_flight_that_changed_since_it_was_found_is_refused(ingest: Ingest, flight: Path) -> None:
    ask = await found_by_discovery(flight)
    (flight / "new.jpg").write_bytes(JPEG)
    await ingest.tell(ask)
    (event,) = await heard(ingest.platform, TaskCompleted, at_least=1)

    assert event.data.error == (
        "meadow changed after it was found: 4 images now, 3 then; it will be found anew"
    )


async def test_an_outside_system_may_name_versions_as_it_likes(ingest: Ingest, flight: Path) -> None:
    await ingest.tell(found_outside(flight))
    event = await ingest.staged()

    assert (event.data.version, event.data.image_count) == ("1", 3)


@pytest.mark.parametrize("images_path", ["../meadow", "/etc", "nothing", "\0"])
async def test_a_path_that_leads_nowhere_good_fails(ingest: Ingest, flight: Path, images_path: str) -> None:
    await ingest.tell(found_outside(flight, images_path=images_path))
    (event,) = await heard(ingest.platform, TaskCompleted, at_least=1)

    assert event.data.status == "failed"
    assert "internal error" not in str(event.data.error)


async def test_names_that_would_leave_the_store_fail(ingest: Ingest, flight: Path) -> None:
    await ingest.tell(found_outside(flight, flight_id="..", version=".."))
    (event,) = await heard(ingest.platform, TaskCompleted, at_least=1)

    assert event.data.status == "failed"
    assert "internal error" not in str(event.data.error)


async def test_finished_files_are_never_read_again(ingest: Ingest, flight: Path) -> None:
    await ingest.tell(found_outside(flight, version="1"))
    first = await ingest.manifest(await ingest.staged())
    await reopen(ingest)
    for image in images_in(flight):
        tamper(image)
    (flight / "late.jpg").write_bytes(JPEG)
    await ingest.tell(found_outside(flight, version="1", rerun=1))
    second = await ingest.manifest(await ingest.staged())

    assert len(second.images) == 4
    assert set(first.images) < set(second.images)


async def reopen(ingest: Ingest) -> None:
    """Make the only transfer look as if its process had died after the last file."""
    (document,) = (await ingest.transfers.find({})).items
    await ingest.transfers.update(
        document.id, lambda transfer: transfer.model_copy(update={"state": TransferState.FAILED})
    )


def tamper(path: Path) -> None:
    """Change the content of a file so that a listing does not show it."""
    stat = path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


async def test_a_vanished_source_fails_with_a_sentence(ingest: Ingest, flight: Path) -> None:
    ask = await found_by_discovery(flight)
    shutil.rmtree(flight)
    await ingest.tell(ask)
    (event,) = await heard(ingest.platform, TaskCompleted, at_least=1)

    assert event.data.error == f"there is no {flight}"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Folder on a disk of 4 MiB."""
    try:
        with small_disk(tmp_path / "disk", 4 << 20) as folder:
            yield folder
    except CannotMountError as error:
        pytest.skip(str(error))


async def test_a_full_disk_delays_a_flight_and_loses_nothing(
    tmp_path: Path, disk: Path, flight: Path
) -> None:
    for number in range(4):
        (flight / f"big-{number}.jpg").write_bytes(JPEG * 25_000 + bytes([number]))
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (3 << 20))
    place = {"objects": f"file://{disk}/objects", "retry_ladder": LADDER * 10}
    async with opened(tmp_path / "home", **place) as on, running_ingest(on) as ingest:
        await ingest.tell(await found_by_discovery(flight))
        waiting = await ingest.transfer(where="no space left")
        ballast.unlink()
        event = await ingest.staged()

    assert waiting.state is TransferState.COPYING
    assert event.data.image_count == 7


async def test_an_object_store_that_refuses_writes_rejects_no_image(
    tmp_path: Path, flight: Path, s3: S3Server
) -> None:
    place = {"objects": "s3://test-nobody-made-it", "s3_endpoint": s3.endpoint_url}
    keys = {"s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY}
    async with opened(tmp_path / "home", **place, **keys) as on, running_ingest(on) as ingest:
        await ingest.tell(await found_by_discovery(flight))
        failed = await ingest.transfer(where="failed")
        journalled = (await ingest.journal.find({})).items

    assert "there is no such bucket" in str(failed.error)
    assert journalled == []


async def test_an_object_store_that_was_away_costs_only_time(tmp_path: Path, flight: Path) -> None:
    port = free_port()
    place = {"objects": "s3://test-late", "s3_endpoint": f"http://127.0.0.1:{port}"}
    keys = {"s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY}
    async with opened(tmp_path / "home", **place, **keys) as on, running_ingest(on) as ingest:
        await ingest.tell(await found_by_discovery(flight))
        waiting = await ingest.transfer(where="out of reach", within_s=60)
        with s3_server(tmp_path, port) as server:
            server.make_bucket("test-late")
            event = await ingest.staged()

    assert (waiting.state, waiting.attempt) == (TransferState.COPYING, 1)
    assert event.data.image_count == 3


async def test_a_file_that_is_written_while_it_is_copied_is_copied_again(
    ingest: Ingest, flight: Path
) -> None:
    growing = flight / "growing.jpg"
    growing.write_bytes(JPEG)
    await ingest.tell(found_outside(flight))
    for _ in range(40):
        growing.write_bytes(growing.read_bytes() + b"x" * 10_000)
        await asyncio.sleep(0.005)
    manifest = await ingest.manifest(await ingest.staged())
    (entry,) = [file for file in manifest.images if file.path == "growing.jpg"]

    assert entry.sha256 == sha256(growing.read_bytes()).hexdigest()


def images_in(folder: Path) -> list[Path]:
    """Return the files of a folder, by name."""
    return sorted(folder.iterdir())
