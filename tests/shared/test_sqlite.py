"""The group-committing SQLite threads."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from shared.errors import DamagedError, PermanentError, StorageFullError, TransientError
from shared.sqlite import Database, connect, open_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "new" / "folder" / "a.db") as opened:
        await opened.write(lambda c: c.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
        yield opened


def numbers(connection: sqlite3.Connection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT n FROM t ORDER BY n")]


async def insert(database: Database, number: int) -> None:
    await database.write(lambda c: c.execute("INSERT INTO t VALUES (?)", (number,)))


async def test_what_was_written_is_read_by_another_connection(database: Database) -> None:
    await insert(database, 1)

    with closing(sqlite3.connect(database.path)) as other:
        assert numbers(other) == [1]


def test_connections_that_make_a_file_at_the_same_moment_all_open_it(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def open_at_once(path: Path) -> None:
        together.wait()
        connect(path).close()

    with ThreadPoolExecutor(4) as pool:
        for number in range(60):
            list(pool.map(open_at_once, [tmp_path / f"{number}.db"] * 4))


async def test_a_failed_write_does_not_undo_its_neighbours(database: Database) -> None:
    await insert(database, 5)

    outcomes = await asyncio.gather(*(insert(database, n) for n in range(10)), return_exceptions=True)

    assert await database.read(numbers) == list(range(10))
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, sqlite3.IntegrityError)] == [5]


async def test_a_failed_write_leaves_nothing_of_itself(database: Database) -> None:
    def fail_halfway(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES (1)")
        raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        await database.write(fail_halfway)
    assert await database.read(numbers) == []


async def test_a_read_sees_every_write_acknowledged_before(database: Database) -> None:
    async def write_then_read(number: int) -> bool:
        await insert(database, number)
        return number in await database.read(numbers)

    assert all(await asyncio.gather(*map(write_then_read, range(200))))


async def test_a_failed_read_does_not_disturb_the_next(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.read(lambda c: c.execute("SELECT * FROM absent"))

    assert await database.read(numbers) == []


async def test_a_cancelled_caller_does_not_disturb_the_others(database: Database) -> None:
    cancelled = asyncio.create_task(insert(database, 1))
    await asyncio.sleep(0)
    cancelled.cancel()
    await insert(database, 2)

    assert 2 in await database.read(numbers)


async def test_a_closed_database_refuses_work(tmp_path: Path) -> None:
    async with open_database(tmp_path / "a.db") as database:
        pass

    with pytest.raises(TransientError, match="closed"):
        await database.read(numbers)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4080])
async def test_a_damaged_file_is_told_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)

    with pytest.raises(DamagedError, match="left as it is"):
        async with open_database(path):
            pass
    assert path.read_bytes() == content


def fill(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE long (x TEXT)")
    connection.executemany("INSERT INTO long VALUES (?)", [("x" * 1000,)] * 50)


async def test_a_file_damaged_inside_is_told_when_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with open_database(path) as database:
        await database.write(fill)
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(30_000))

    async with open_database(path) as database:
        for _ in range(2):
            with pytest.raises(DamagedError):
                await database.read(lambda c: c.execute("SELECT * FROM long").fetchall())


async def test_a_folder_in_the_files_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.db").mkdir()

    with pytest.raises(PermanentError, match="cannot be opened"):
        async with open_database(tmp_path / "a.db"):
            pass


@pytest.mark.long  # waits for the lock as long as a process would
async def test_a_file_locked_for_long_is_told(database: Database) -> None:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError, match="held by another process"):
            await insert(database, 1)

    await insert(database, 2)
    assert await database.read(numbers) == [2]


async def test_a_file_locked_for_a_moment_is_waited_for(database: Database) -> None:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(insert(database, 1))
        await asyncio.sleep(0.3)
        other.execute("ROLLBACK")
        await waiting

    assert await database.read(numbers) == [1]


def insert_big(row: tuple[int, str], connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO big VALUES (?, ?)", row)


async def insert_until_full(database: Database, acknowledged: list[int]) -> None:
    for number in range(1000):
        row = (number, "x" * 100_000)
        await database.write(partial(insert_big, row))
        acknowledged.append(number)


async def test_a_full_disk_is_told_and_loses_nothing(full_disk: Path) -> None:
    acknowledged: list[int] = []
    async with open_database(full_disk / "a.db") as database:
        await database.write(lambda c: c.execute("CREATE TABLE big (n INTEGER PRIMARY KEY, x TEXT)"))
        with pytest.raises(StorageFullError, match="free some space"):
            await insert_until_full(database, acknowledged)
        rows = await database.read(lambda c: c.execute("SELECT n FROM big ORDER BY n").fetchall())

    assert [row[0] for row in rows] == acknowledged
    assert len(acknowledged) > 10
