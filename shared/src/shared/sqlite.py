"""One SQLite file behind two threads: a writer that commits in groups, and a reader.

A write is on disk (WAL, ``synchronous=FULL``) before its caller hears of it. Writes that wait at the same
time share one commit, each behind its own savepoint, so that one failure does not undo its neighbours.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import DamagedError, PermanentError, StorageFullError, TransientError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

BUSY_TIMEOUT_S = 10
SWITCH_POLL_S = 0.01
GROUP_AT_MOST = 256


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work[Any]
    future: asyncio.Future[Any]


class _Worker:
    """A thread with a connection of its own that runs jobs in groups."""

    def __init__(self, path: Path, *, writes: bool) -> None:
        self._path = path
        self._writes = writes
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f"sqlite {path.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def run(self, work: Work[T]) -> T:
        if self._stopped:
            raise TransientError(f"{self._path} was closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, future))
        return await future

    async def stop(self) -> None:
        self._stopped = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            connection = connect(self._path)
        except Exception as error:  # noqa: BLE001 - told to every caller, who would wait for ever
            refusal = error
            self._serve(lambda group: [refusal] * len(group))
            return
        try:
            self._serve(lambda group: self._outcomes(connection, group))
        finally:
            connection.close()

    def _serve(self, outcomes: Callable[[list[_Job]], list[Any]]) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            stopping = self._gather(group)
            self._loop.call_soon_threadsafe(_settle, group, outcomes(group))
            if stopping:
                return

    def _outcomes(self, connection: sqlite3.Connection, group: list[_Job]) -> list[Any]:
        try:
            outcomes = _committed(connection, group) if self._writes else _read(connection, group)
        except Exception as error:  # noqa: BLE001 - handed to all callers: this thread serves the next ones
            outcomes = [error] * len(group)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return [
            translated(outcome, self._path) if isinstance(outcome, sqlite3.Error) else outcome
            for outcome in outcomes
        ]

    def _gather(self, group: list[_Job]) -> bool:
        while len(group) < GROUP_AT_MOST:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return False
            if job is None:
                return True
            group.append(job)
        return False


def _committed(connection: sqlite3.Connection, group: list[_Job]) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    outcomes = [_in_savepoint(connection, job.work) for job in group]
    connection.execute("COMMIT")
    return outcomes


def _in_savepoint(connection: sqlite3.Connection, work: Work[Any]) -> Any:
    connection.execute("SAVEPOINT job")
    try:
        outcome = work(connection)
    except Exception as error:
        if not connection.in_transaction:  # SQLite itself rolled back: disk full, I/O error
            raise
        connection.execute("ROLLBACK TO job")
        outcome = error
    connection.execute("RELEASE job")
    return outcome


def _read(connection: sqlite3.Connection, group: list[_Job]) -> list[Any]:
    outcomes: list[Any] = []
    connection.execute("BEGIN")  # one snapshot for all: taking one costs as much as a small query
    for job in group:
        try:
            outcomes.append(job.work(connection))
        except Exception as error:  # noqa: BLE001 - handed to the caller that it belongs to
            outcomes.append(error)
    with suppress(sqlite3.Error):  # of a damaged file; the readers were told
        connection.execute("COMMIT")
    return outcomes


def _settle(group: list[_Job], outcomes: list[Any]) -> None:
    for job, outcome in zip(group, outcomes, strict=True):
        if job.future.done():  # its caller was cancelled
            continue
        if isinstance(outcome, Exception):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)


def translated(error: sqlite3.Error, path: Path) -> Exception:
    """Return what ``error`` means to a caller who does not know SQLite."""
    match getattr(error, "sqlite_errorname", "").split("_")[1:]:
        case ["FULL"] | ["IOERR", "WRITE"]:  # a quota or a file size limit shows as a failed write
            return StorageFullError(f"{path}: {error}; free some space, nothing acknowledged was lost")
        case ["BUSY" | "LOCKED", *_]:
            return TransientError(
                f"{path} is held by another process for more than {BUSY_TIMEOUT_S} s: {error}"
            )
        case ["CORRUPT" | "NOTADB", *_]:
            return DamagedError(
                f"{path} is damaged ({error}); it was left as it is. Restore it from a backup, or move it"
                " away to start with an empty one"
            )
        case ["CANTOPEN" | "READONLY" | "PERM" | "AUTH", *_]:
            return PermanentError(f"{path} cannot be opened for writing ({error}); check its permissions")
        case ["IOERR", *_]:
            return TransientError(f"{path}: {error}; nothing acknowledged was lost")
        case _:
            return error


def connect(path: Path) -> sqlite3.Connection:
    """Open ``path`` with full durability; transactions are the caller's.

    Raises:
        DamagedError: The file is no SQLite database, or a damaged one; it is left as it is.
        TransientError: Another process holds it.
    """
    try:
        with ExitStack() as opened:
            connection = opened.enter_context(closing(_opened(path)))
            switch_to_wal(connection)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            opened.pop_all()
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return connection


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite itself does not wait for another process that switches at the same moment."""
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(SWITCH_POLL_S)
        else:
            return


class Database:
    """A SQLite file for one event loop; any number of processes may open it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = _Worker(path, writes=True)
        self._reader = _Worker(path, writes=False)
        self._near = sqlite3.connect(path, timeout=0, isolation_level=None)

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction and return its result once that is on disk.

        Raises:
            StorageFullError: No space is left; nothing was written.
            TransientError: Another process holds the file.
        """
        return await self._writer.run(work)

    async def read(self, work: Work[T]) -> T:
        """Run ``work``, which must only read, beside the writer."""
        return await self._reader.run(work)

    async def look_up(self, work: Work[T]) -> T:
        """Run ``work``, which reads some rows by their key, at once.

        A reader of a WAL file waits for nobody, and such a read takes some 10 µs: handing it to a thread
        costs five times as much. Where it would have to wait after all, it is handed over.
        """
        try:
            return work(self._near)
        except sqlite3.Error:
            return await self._reader.run(work)

    def start(self) -> None:
        """Start the threads."""
        self._writer.start()
        self._reader.start()

    async def stop(self) -> None:
        """Finish what was begun and close the file."""
        self._near.close()
        await self._writer.stop()
        await self._reader.stop()


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """Open the SQLite file at ``path``, made with its folder where it is missing.

    Raises:
        DamagedError: The file is no SQLite database, or a damaged one; it is left as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    (await asyncio.to_thread(connect, path)).close()
    database = Database(path)
    database.start()
    try:
        yield database
    finally:
        await database.stop()
