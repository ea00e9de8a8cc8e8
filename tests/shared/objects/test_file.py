"""What only the store in a folder does: names, crashes, full disks."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import shutil
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import DamagedError, InvalidInputError, PermanentError, StorageFullError, TransientError
from shared.objects.file import FileObjects
from shared.objects.open import open_objects
from shared.objects.port import ContentError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def objects(root: Path) -> FileObjects:
    return FileObjects(root)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_a_plain_key_is_a_plain_file(objects: FileObjects, root: Path) -> None:
    await objects.put("flights/7/odm_orthophoto.tif", b"pixels")

    assert (root / "flights+" / "7+" / "odm_orthophoto.tif").read_bytes() == b"pixels"


async def test_an_overwritten_object_leaves_no_other_files(objects: FileObjects, root: Path) -> None:
    for n in range(5):
        await objects.put("k", b"x" * n)
    assert len(files(root)) == 2

    await objects.delete("k")
    assert files(root) == []


async def test_a_deleted_object_leaves_no_folders(objects: FileObjects, root: Path) -> None:
    await objects.put("a/b/c", b"1")
    await objects.put("a/d", b"1")
    await objects.delete("a/b/c")

    assert [path.name for path in (root / "a+").iterdir() if path.is_dir()] == []


async def test_a_file_that_somebody_dropped_is_an_object(objects: FileObjects, root: Path) -> None:
    (root / "dropped.txt").write_bytes(b"hello")
    stat = await objects.stat("dropped.txt")

    assert stat is not None
    assert (stat.size_bytes, stat.sha256) == (5, None)
    again = await objects.put("dropped.txt", b"hello", create_only=True)
    assert again.sha256 == hashlib.sha256(b"hello").hexdigest()


async def test_a_backup_that_keeps_times_keeps_hashes(
    objects: FileObjects, root: Path, tmp_path: Path
) -> None:
    put = await objects.put("a/b", b"content", metadata={"a": "1"})
    shutil.copytree(root, tmp_path / "backup")

    stat = await FileObjects(tmp_path / "backup").stat("a/b")
    assert stat == put


@pytest.mark.parametrize("place", ["k", "folder+"])
async def test_a_symbolic_link_does_not_lead_out(
    objects: FileObjects, root: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"secret")
    (root / place).symlink_to(tmp_path / "outside" / ("x" if place == "k" else ""))

    for key in ("k",) if place == "k" else ("folder/x", "folder/new"):
        with pytest.raises(InvalidInputError, match="symbolic link"):
            await objects.read(key)
        with pytest.raises(InvalidInputError, match="symbolic link"):
            await objects.put(key, b"y")
    assert [item.key async for item in objects.list()] == []
    assert (tmp_path / "outside" / "x").read_bytes() == b"secret"


async def test_rotten_bits_are_found_by_a_download(objects: FileObjects, root: Path, tmp_path: Path) -> None:
    await objects.put("k", b"content")
    times = (root / "k").stat()
    (root / "k").write_bytes(b"cOntent")
    os.utime(root / "k", ns=(times.st_atime_ns, times.st_mtime_ns))

    with pytest.raises(ContentError):
        await objects.download("k", tmp_path / "out")
    with pytest.raises(ContentError):
        await objects.copy("k", "other")
    assert not (tmp_path / "out").exists()
    assert await objects.stat("other") is None


async def test_a_damaged_sidecar_is_told_and_left(objects: FileObjects, root: Path) -> None:
    await objects.put("k", b"content")
    sidecar = root / files(root)[0]
    sidecar.write_bytes(b"{")

    with pytest.raises(DamagedError, match="left as it is"):
        await objects.stat("k")
    assert sidecar.read_bytes() == b"{"


async def test_leftovers_of_a_crash_are_swept_after_a_day(root: Path) -> None:
    FileObjects(root)
    for name, hours in (("old", 25), ("new", 1)):
        (root / "+tmp" / name).write_bytes(b"half a file")
        then = time.time() - hours * 3600
        os.utime(root / "+tmp" / name, (then, then))

    FileObjects(root)
    assert files(root) == ["+tmp/new"]


async def test_a_failed_put_leaves_no_file(objects: FileObjects, root: Path) -> None:
    with pytest.raises(ContentError):
        await objects.put("a/b", b"content", size_bytes=1)

    assert files(root) == []


async def test_a_cancelled_put_leaves_no_file(objects: FileObjects, root: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)
            await asyncio.sleep(0)

    putting = asyncio.create_task(objects.put("k", endless()))
    await asyncio.sleep(0.1)
    putting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await putting
    assert files(root) == []


async def test_a_full_disk_is_told_and_what_was_there_is_safe(full_disk: Path) -> None:
    objects = FileObjects(full_disk / "objects")
    await objects.put("kept", b"x" * 1_000_000)

    for content in (bytes(5 << 20), zeros(5)):
        with pytest.raises(StorageFullError, match="no space left"):
            await objects.put("kept", content)
    assert await objects.read("kept") == b"x" * 1_000_000
    assert len(files(full_disk)) == 2
    await objects.put("more", b"x" * 1_000_000)


async def test_a_root_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(TransientError, match="Not a directory"):
        FileObjects(tmp_path / "file" / "objects")


async def zeros(mebibytes: int) -> AsyncIterator[bytes]:
    for _ in range(mebibytes):
        yield bytes(1 << 20)


async def test_memory_does_not_grow_with_a_stream(objects: FileObjects, tmp_path: Path) -> None:
    await objects.put("small", zeros(16))
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    await objects.put("large", zeros(300))
    await objects.download("large", tmp_path / "out")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 60_000


async def test_without_a_service_there_are_no_urls(objects: FileObjects) -> None:
    with pytest.raises(PermanentError, match="base URL"):
        await objects.presign("k", expires=timedelta(minutes=1))


@pytest.mark.parametrize("url", ["", "objects", "ftp://x/y", "file://relative/x", "s3://", "s3:bucket"])
async def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        async with open_objects(url):
            pass
