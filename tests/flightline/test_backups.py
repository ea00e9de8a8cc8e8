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
from flightline.backup.manifest import connected, verified
from flightline.backup.restoring import Restored, restore
from flightline.display import display
from shared.errors import ConflictError, DamagedError, InvalidInputError, StorageFullError
from shared.platform import open_platform
from shared.sqlite import Database, open_database
from shared.state import Collection
from tests.support.columns import Column, files_below


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
    async with open_platform(empty.settings, ()):
        pass
    (empty.home / "secrets-key").write_text("of our own")
    there = [(empty.home / name).read_bytes() for name in ("bus.db", "state.db", "secrets-key")]

    with pytest.raises(ConflictError, match="--force sets them aside"):
        await put_back(empty, small)
    done = await put_back(empty, small, force=True)

    assert [Path(path).read_bytes() for path in done.set_aside] == there
    assert (empty.home / "secrets-key").read_text() == "sealed"


async def test_a_restore_that_is_done_is_nothing_to_do(empty: Column, small: Path) -> None:
    await put_back(empty, small)
    before = files_below(empty.home)

    done = await put_back(empty, small)

    assert (done.set_aside, files_below(empty.home)) == ([], before)


async def test_a_journal_that_was_left_alone_is_not_applied_to_another_file(
    empty: Column, small: Path
) -> None:
    """As a kill leaves it between two renames: the state is aside already, what belongs to it is not."""
    empty.home.mkdir()
    (empty.home / "state.db.before-20260101T000000.000000Z").write_bytes(b"state")
    (empty.home / "state.db-wal").write_bytes(b"journal")

    with pytest.raises(ConflictError, match="--force sets them aside"):
        await put_back(empty, small)
    done = await put_back(empty, small, force=True)

    assert done.set_aside == [str(empty.home / "state.db.before-20260101T000000.000000Z-wal")]


async def test_a_restore_below_running_services_is_refused(empty: Column, small: Path) -> None:
    await put_back(empty, small)

    async with open_platform(empty.settings, ()):
        with pytest.raises(ConflictError, match="stop them first"):
            await put_back(empty, small, force=True)


async def test_a_state_that_is_in_use_is_not_set_aside_where_the_bus_is_elsewhere(
    empty: Column, small: Path
) -> None:
    async with open_database(empty.home / "state.db"):
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


async def test_only_one_makes_a_backup(column: Column, tmp_path: Path) -> None:
    async with open_platform(column.settings, ()) as platform:
        await platform.objects.put("large", b"a" * (5 << 20))

        with display(quiet=True) as show:
            made = await asyncio.gather(
                *(make_backup(column.settings, tmp_path / "backup", show) for _ in range(2)),
                return_exceptions=True,
            )
            refused = [each for each in made if isinstance(each, ConflictError)]
            checked = await verified(tmp_path / "backup", show)

    assert (len(refused), checked in made) == (1, True)


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
