"""Passing remarks between the processes of one host, in a small file that is never synced to disk."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import structlog

from shared.sqlite import switch_to_wal

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

REMARKS_AT_MOST = 4096
"""What is older than so many remarks is gone, heard or not."""
LISTEN_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Remark:
    """Something said once, to whoever listens."""

    kind: str
    topic: str
    body: bytes


class Broadcast:
    """A ring of remarks that everybody on this host may add to and follow."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._turn = threading.Lock()
        self._unsent: deque[Remark] = deque(maxlen=REMARKS_AT_MOST)
        self._added = asyncio.Event()
        self._listeners: set[asyncio.Event] = set()

    def send(self, remark: Remark) -> None:
        """Say something soon; when too much waits, the oldest is dropped."""
        self._unsent.append(remark)
        self._added.set()

    async def run(self) -> None:
        """Write what was sent, until cancelled."""
        while True:
            await self._added.wait()
            self._added.clear()
            batch = [self._unsent.popleft() for _ in range(len(self._unsent))]
            try:
                await asyncio.to_thread(self._do, _append, batch)
            except sqlite3.Error as error:
                log.warning("broadcast.lost", remarks=len(batch), error=str(error))
            for listener in self._listeners:
                listener.set()

    @asynccontextmanager
    async def listen(self, kind: str) -> AsyncIterator[AsyncIterator[Remark]]:
        """Follow the remarks of one kind sent from now on, by any process."""
        newest = await asyncio.to_thread(self._do, _newest)
        woken = asyncio.Event()
        self._listeners.add(woken)
        remarks = self._follow(kind, newest, woken)
        try:
            yield remarks
        finally:
            self._listeners.discard(woken)

    async def _follow(self, kind: str, heard: int, woken: asyncio.Event) -> AsyncIterator[Remark]:
        while True:
            woken.clear()
            rows = await asyncio.to_thread(self._do, _after, heard)
            for row_id, remark in rows:
                heard = row_id
                if remark.kind == kind:
                    yield remark
            if not rows:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LISTEN_EVERY_S):
                        await woken.wait()

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()

    def _do(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        with self._turn:
            if self._connection is None:
                self._connection = _open(self._path)
            return work(self._connection, *args, **kwargs)


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # torn by a power cut; nothing in it matters
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    with ExitStack() as opened:
        opened.enter_context(closing(connection))
        switch_to_wal(connection)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS remarks"
            " (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, topic TEXT, body BLOB)"
        )
        opened.pop_all()
    return connection


def _append(connection: sqlite3.Connection, batch: list[Remark]) -> None:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO remarks (kind, topic, body) VALUES (?, ?, ?)",
            [(remark.kind, remark.topic, remark.body) for remark in batch],
        )
        connection.execute("DELETE FROM remarks WHERE id <= ?", (_newest(connection) - REMARKS_AT_MOST,))


def _newest(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'remarks'").fetchone()
    return int(row[0]) if row else 0


def _after(connection: sqlite3.Connection, heard: int) -> list[tuple[int, Remark]]:
    rows = connection.execute(
        "SELECT id, kind, topic, body FROM remarks WHERE id > ? ORDER BY id LIMIT 500", (heard,)
    )
    return [(row[0], Remark(*row[1:])) for row in rows]
