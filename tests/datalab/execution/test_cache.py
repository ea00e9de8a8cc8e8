"""The cache of downloads: whole files only, each once, and never more than there is room for."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from datalab.inputs.cache import FileCache
from datalab.inputs.scratch import open_scratch
from shared.file_lock import lock_now

HOLDS = """
import sys, time
from pathlib import Path
from shared.file_lock import lock_now
locks = [lock_now(Path(sys.argv[1]) / f"{number:02x}") for number in range(256)]
print("held", flush=True)
time.sleep(600)
"""


class Downloads:
    """Writes so many bytes, and counts how often."""

    def __init__(self, size_bytes: int = 100, error: Exception | None = None) -> None:
        self.size_bytes, self.error = size_bytes, error
        self.count = 0

    async def __call__(self, part: Path) -> None:
        self.count += 1
        await asyncio.sleep(0.01)
        part.write_bytes(bytes(self.size_bytes))
        if self.error:
            raise self.error


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    cache = FileCache(tmp_path / "cache", 1000)
    cache.prepare()
    return cache


async def test_what_many_want_is_downloaded_once(cache: FileCache, tmp_path: Path) -> None:
    other, downloads = FileCache(cache.folder, 1000), Downloads()

    await asyncio.gather(
        *(
            (cache if number % 2 else other).link("content", tmp_path / f"{number}", downloads)
            for number in range(10)
        )
    )

    assert downloads.count == 1
    assert [(tmp_path / f"{number}").stat().st_size for number in range(10)] == [100] * 10


async def test_a_download_that_fails_leaves_nothing(cache: FileCache, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half"):
        await cache.link("content", tmp_path / "file", Downloads(error=ValueError("half")))

    assert not (tmp_path / "file").exists()
    assert not any(cache.folder.glob("[ep]*/*"))
    await cache.link("content", tmp_path / "file", Downloads())
    assert (tmp_path / "file").stat().st_size == 100


async def test_what_was_not_used_for_longest_goes_first(cache: FileCache, tmp_path: Path) -> None:
    downloads = Downloads()
    for number in range(9):
        await cache.link(f"content {number}", tmp_path / f"{number}", downloads)
        os.utime(tmp_path / f"{number}", (number, number))
    await cache.link("content 0", tmp_path / "again", downloads)

    await cache.link("content 9", tmp_path / "9", downloads)
    await cache.link("content 10", tmp_path / "10", downloads)

    assert downloads.count == 11
    assert taken(cache) <= 1000
    await cache.link("content 0", tmp_path / "once more", downloads)
    assert downloads.count == 11
    await cache.link("content 1", tmp_path / "gone", downloads)
    assert downloads.count == 12
    assert (tmp_path / "1").stat().st_size == 100, "who has a file keeps it"


async def test_what_is_larger_than_the_cache_is_not_kept(cache: FileCache, tmp_path: Path) -> None:
    await cache.link("large", tmp_path / "large", Downloads(5000))

    assert (tmp_path / "large").stat().st_size == 5000
    assert taken(cache) == 0


async def test_a_killed_download_lets_others_have_their_turn(cache: FileCache, tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDS, str(cache.folder / "locks"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"held\n"
        waiting = asyncio.create_task(cache.link("content", tmp_path / "file", Downloads()))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    finally:
        holder.kill()
        await holder.wait()
    async with asyncio.timeout(10):
        await waiting

    assert (tmp_path / "file").stat().st_size == 100


async def test_old_leftovers_are_swept(cache: FileCache) -> None:
    old, young = cache.folder / "parts" / "old", cache.folder / "parts" / "young"
    for part in (old, young):
        part.touch()
    os.utime(old, (time.time() - 100_000,) * 2)

    cache.prepare()

    assert (old.exists(), young.exists()) == (False, True)


async def test_folders_of_dead_processes_are_swept_and_those_of_the_living_stay(tmp_path: Path) -> None:
    dead, living = tmp_path / "dead", tmp_path / "living"
    for folder in (dead, living):
        folder.mkdir()
        folder.with_suffix(".lock").touch()
    lock = lock_now(living.with_suffix(".lock"))
    assert lock is not None

    async with open_scratch(tmp_path) as scratch, scratch.folder() as folder:
        assert folder.is_dir()
        assert (dead.exists(), living.exists()) == (False, True)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["living", "living.lock"]
    lock.close()


def taken(cache: FileCache) -> int:
    """Return the bytes of all entries."""
    return sum(path.stat().st_size for path in (cache.folder / "entries").iterdir())
