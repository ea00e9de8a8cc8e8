"""A backup is whole and what it was, or it is refused; nothing is overwritten."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from datalab.collections import COUNTERS
from datalab.numbers import Counter
from flightline.backup.cut import copy, cut
from flightline.backup.making import make_backup
from flightline.backup.manifest import connected
from flightline.backup.restoring import Restored, restore
from flightline.display import display
from shared.errors import ConflictError, DamagedError, InvalidInputError, StorageFullError
from shared.platform import open_platform
from shared.sqlite import Database, open_database
from shared.state import Collection
from tests.support.columns import Column


async def put_back(column: Column, folder: Path, *, dry_run: bool = False, force: bool = False) -> Restored:
    with display(quiet=True) as show:
        return await restore(column.settings, folder, show, dry_run=dry_run, force=force)


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> tuple[Column, Path]:
    """Return backends that are gone, and the backup of some objects and of a session that were there."""
    column, folder = Column(tmp_path_factory.mktemp("lost") / "home"), tmp_path_factory.mktemp("elsewhere")
    asyncio.run(_used(column, folder / "backup"))
    shutil.rmtree(column.home)
    return column, folder / "backup"


async def _used(column: Column, folder: Path) -> None:
    async with open_platform(column.settings, ()) as platform:
        await platform.store.declare(COUNTERS)
        await Collection(platform.store, COUNTERS, Counter).insert("session", Counter(last=1))
        await platform.objects.put("staging/f/a.jpg", b"a" * 1000, metadata={"taken": "today"})
        await platform.objects.put("staging/f/b.jpg", b"b" * 1000)
    (column.home / "secrets-key").write_text("sealed")
    with display(quiet=True) as show:
        await make_backup(column.settings, folder, show)


@pytest.fixture
def small(lost: tuple[Column, Path], tmp_path: Path) -> Path:
    """Return a copy of the backup, to be damaged."""
    return shutil.copytree(lost[1], tmp_path / "backup")


@pytest.fixture
def empty(lost: tuple[Column, Path]) -> Iterator[Column]:
    """Return the backends, with nothing in them."""
    yield lost[0]
    shutil.rmtree(lost[0].home, ignore_errors=True)


async def test_objects_and_keys_come_back_with_all_that_is_known_of_them(empty: Column, small: Path) -> None:
    await put_back(empty, small)

    async with open_platform(empty.settings, ()) as platform:
        stored = await platform.objects.stat("staging/f/a.jpg")
        content = await platform.objects.read("staging/f/b.jpg")
    key = empty.home / "secrets-key"
    assert stored is not None
    assert (stored.size_bytes, stored.metadata) == (1000, {"taken": "today"})
    assert content == b"b" * 1000
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("sealed", 0o600)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("manifest.json", cut_short),
        ("manifest.json", flip),
        ("manifest.json", Path.unlink),
        ("state.db", cut_short),
        ("bus.db", flip),
        ("keys/secrets-key", Path.unlink),
        ("objects.jsonl", cut_short),
        ("objects/staging+/f+/b.jpg", flip),
        ("objects/staging+/f+/b.jpg", Path.unlink),
    ],
)
async def test_a_damaged_backup_is_refused_with_a_sentence(
    empty: Column, small: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(small / name)

    with pytest.raises((DamagedError, InvalidInputError), match=r"damaged|missing|another backup"):
        await put_back(empty, small)

    assert not empty.home.exists()


async def test_nothing_that_is_there_is_overwritten(empty: Column, small: Path) -> None:
    await put_back(empty, small)
    there = (empty.home / "state.db").read_bytes()

    with pytest.raises(ConflictError, match="--force sets them aside"):
        await put_back(empty, small)
    done = await put_back(empty, small, force=True)

    assert len(done.set_aside) == 2
    assert there in [Path(path).read_bytes() for path in done.set_aside]


async def test_a_restore_below_running_services_is_refused(empty: Column, small: Path) -> None:
    await put_back(empty, small)

    async with open_platform(empty.settings, ()):
        with pytest.raises(ConflictError, match="stop them first"):
            await put_back(empty, small, force=True)


async def test_documents_that_name_other_objects_are_not_restored(
    tmp_path: Path, empty: Column, small: Path
) -> None:
    elsewhere = replace(empty, home=tmp_path / "another")

    with pytest.raises(InvalidInputError, match="set FLIGHTLINE_OBJECTS"):
        await put_back(elsewhere, small)


async def test_a_dry_run_changes_nothing(empty: Column, small: Path) -> None:
    await put_back(empty, small, dry_run=True)

    assert not empty.home.exists()


async def test_a_backup_is_never_written_over(empty: Column, small: Path) -> None:
    before = (small / "manifest.json").read_bytes()

    with pytest.raises(InvalidInputError, match="holds something already"), display(quiet=True) as show:
        await make_backup(empty.settings, small, show)

    assert (small / "manifest.json").read_bytes() == before


async def test_a_backup_that_finds_too_little_room_leaves_nothing(column: Column, full_disk: Path) -> None:
    async with open_platform(column.settings, ()) as platform:
        await platform.objects.put("large", b"a" * (5 << 20))

        with pytest.raises(StorageFullError), display(quiet=True) as show:
            await make_backup(column.settings, full_disk / "backup", show)

    assert list(full_disk.iterdir()) == []


async def test_a_backup_is_not_written_into_what_it_backs_up(column: Column) -> None:
    folder = column.home / "objects" / "backup"

    with pytest.raises(InvalidInputError, match="on another disk"), display(quiet=True) as show:
        await make_backup(column.settings, folder, show)


async def test_two_files_are_copied_as_they_were_at_one_moment(tmp_path: Path) -> None:
    """Marks are written to the first file, then to the second: there are never more in the second one."""
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    async with open_database(first) as one, open_database(second) as two:
        for database in (one, two):
            await database.write(lambda c: c.execute("CREATE TABLE marks (number INTEGER)"))
        writing = asyncio.create_task(_write_to_both(one, two))
        for number in range(8):
            await asyncio.sleep(0.01)
            in_first, in_second = await asyncio.to_thread(_cut, [first, second], tmp_path / f"{number}")
            assert in_second <= in_first <= in_second + 1
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing


async def _write_to_both(one: Database, two: Database) -> None:
    number = 0
    while True:
        for database in (one, two):
            await database.write(partial(_mark, number))
        number += 1


def _mark(number: int, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO marks VALUES (?)", (number,))


def _cut(paths: list[Path], folder: Path) -> list[int]:
    folder.mkdir()
    with cut(paths) as readers:
        for path, reader in zip(paths, readers, strict=True):
            copy(reader, folder / path.name)
    counts = []
    for path in paths:
        with connected(folder / path.name) as connection:
            counts.append(connection.execute("SELECT count(*) FROM marks").fetchone()[0])
    return counts
