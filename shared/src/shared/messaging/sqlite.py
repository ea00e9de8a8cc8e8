"""The bus for one host: durable queues in one SQLite file, shared by any number of processes."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from shared.errors import NotFoundError, PermanentError
from shared.messaging import sqlite_queue
from shared.messaging.broadcast import Broadcast, Remark
from shared.messaging.port import (
    DeadLetter,
    Deliveries,
    Message,
    QueueCounts,
    Topology,
    UnroutableError,
)
from shared.messaging.sqlite_deliveries import Bell, SqliteDeliveries, bell_of
from shared.messaging.sqlite_owners import Owner
from shared.sqlite import Database, Work, open_database

T = TypeVar("T")

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.2
"""How soon a message that another process published is seen."""
REAP_EVERY_S = 1.0
"""How soon the messages of a killed process are given to others."""
DEAD_LETTERS_PER_PAGE = 100


class SqliteTransport:
    """A durable queue per service and event. Build it with ``open_sqlite``."""

    def __init__(self, database: Database, owner: Owner, broadcast: Broadcast, bell: Bell) -> None:
        self._database = database
        self._owner = owner
        self._broadcast = broadcast
        self._bell = bell
        self._sessions: list[SqliteDeliveries] = []
        self._session_count = 0

    async def declare(self, topology: Topology) -> None:
        """Make every queue of ``topology``."""
        await self._database.write(lambda connection: sqlite_queue.bind(connection, topology))

    async def publish(self, message: Message) -> None:
        """Put ``message`` into every queue bound to its routing key, on disk.

        Raises:
            UnroutableError: No queue is; it lies in ``flightline.unrouted``.
        """
        now = time.time()
        routed = await self._database.write(lambda connection: sqlite_queue.put(connection, message, now))
        if routed.tailed:
            self._broadcast.send(_event_remark(message))
        if not routed.queues:
            raise UnroutableError(f"no queue is bound to {message.routing_key!r}")
        self._bell.ring(routed.queues)

    @asynccontextmanager
    async def consume(self, queue: str, *, prefetch: int) -> AsyncIterator[Deliveries]:
        """Receive the messages of ``queue``, at most ``prefetch`` unsettled at a time."""
        if not await self._database.read(lambda connection: sqlite_queue.is_bound(connection, queue)):
            raise PermanentError(f"queue {queue} is not declared")
        self._session_count += 1
        holder = f"{self._owner.name}:{self._session_count}"
        session = SqliteDeliveries(self._database, queue, holder, prefetch, self._bell)
        self._sessions.append(session)
        try:
            async with session:
                yield session
        finally:
            self._sessions.remove(session)

    def is_consuming(self, queue: str) -> bool:
        """Return whether messages of ``queue`` come to us now."""
        return any(session.queue == queue and session.is_open for session in self._sessions)

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in ``queue``."""
        now = time.time()
        return await self._database.read(lambda connection: sqlite_queue.depth(connection, queue, now))

    async def dead_letters(self, queue: str) -> AsyncGenerator[DeadLetter, None]:
        """Iterate over the dead letters of ``queue``, oldest first."""
        after = 0
        while page := await self._database.read(_page(queue, after)):
            for letter in page:
                yield letter
            after = int(page[-1].id)

    async def counts(self, queue: str, ladder: Sequence[timedelta]) -> QueueCounts:
        """Return what lies in a work queue and beside it.

        Raises:
            PermanentError: No queue of this name was declared.
        """
        del ladder  # retries wait in the queue itself
        now = time.time()
        found = await self._database.read(lambda connection: sqlite_queue.counts(connection, queue, now))
        if found is None:
            raise PermanentError(f"queue {queue} is not declared")
        return found

    async def replay(self, queue: str, letter_id: str) -> None:
        """Put a dead letter back into ``queue`` as a first attempt.

        Raises:
            NotFoundError: There is no such dead letter.
            UnroutableError: It lay where nobody wanted it, and nobody does still.
        """
        now = time.time()
        replayed = partial(sqlite_queue.replay, queue=queue, letter_id=letter_id, now=now)
        self._bell.ring(await self._database.write(replayed))

    async def discard(self, queue: str, letter_id: str) -> None:
        """Remove a dead letter for ever.

        Raises:
            NotFoundError: There is no such dead letter.
        """
        await self._database.write(lambda connection: sqlite_queue.discard(connection, queue, letter_id))

    async def replay_each(
        self, queue: str, wanted: Callable[[DeadLetter], bool]
    ) -> AsyncGenerator[DeadLetter, None]:
        """Replay the wanted ones among the dead letters that are there now."""
        async for letter in self._wanted(queue, wanted):
            with suppress(
                NotFoundError, UnroutableError
            ):  # settled by somebody else meanwhile, or not wanted
                await self.replay(queue, letter.id)
                yield letter

    async def discard_each(
        self, queue: str, wanted: Callable[[DeadLetter], bool]
    ) -> AsyncGenerator[DeadLetter, None]:
        """Remove the wanted ones among the dead letters that are there now for ever."""
        async for letter in self._wanted(queue, wanted):
            with suppress(NotFoundError):
                await self.discard(queue, letter.id)
                yield letter

    async def restore(self, letter: DeadLetter) -> None:
        """Put a letter that was removed back among the dead letters of its queue."""
        now = time.time()
        await self._write(lambda connection: sqlite_queue.restore(connection, letter, now))

    async def _wanted(
        self, queue: str, wanted: Callable[[DeadLetter], bool]
    ) -> AsyncGenerator[DeadLetter, None]:
        last = await self._database.read(lambda connection: sqlite_queue.last_dead(connection, queue))
        async for letter in self.dead_letters(queue):
            if int(letter.id) > last:  # died since then, perhaps for the second time
                return
            if wanted(letter):
                yield letter

    async def tell(self, topic: str, body: bytes) -> None:
        """Send a progress message that nobody may hear."""
        self._broadcast.send(Remark("progress", topic, body))

    @asynccontextmanager
    async def hear(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Receive progress messages sent from now on, by any process of this host."""
        async with self._broadcast.listen("progress") as remarks:
            yield (remark.body async for remark in remarks)

    @asynccontextmanager
    async def tail(self) -> AsyncIterator[AsyncIterator[Message]]:
        """Receive a copy of every event published from now on, by any process of this host."""
        self._session_count += 1
        follower = (f"{self._owner.name}:{self._session_count}",)
        async with self._broadcast.listen("event") as remarks:
            await self._write(lambda c: c.execute("INSERT INTO tails (owner) VALUES (?)", follower))
            try:
                yield (_event_of(remark) async for remark in remarks)
            finally:
                await self._write(lambda c: c.execute("DELETE FROM tails WHERE owner = ?", follower))

    async def ping(self) -> None:
        """Return if the file can be read."""
        await self._database.read(lambda connection: connection.execute("SELECT 1").fetchone())

    async def watch(self) -> None:
        """Notice what other processes publish, and those that end, until cancelled."""
        seen, reap_at = -1, 0.0
        while True:
            now = time.monotonic()
            version = await self._database.look_up(_data_version) if self._sessions else seen
            if version != seen:
                self._bell.ring_all()
            if now >= reap_at:
                await self._reap()
                reap_at = now + REAP_EVERY_S
            seen = version
            await asyncio.sleep(LOOK_EVERY_S)

    async def _reap(self) -> None:
        orphans = await self._database.read(lambda c: sqlite_queue.orphans(c, self._owner.is_alive))
        if not orphans:
            return
        log.warning("bus.orphans_released", owners=orphans)
        now = time.time()
        await self._write(lambda c: sqlite_queue.release_orphans(c, orphans, now))
        self._bell.ring_all()

    async def _write(self, work: Work[object]) -> None:
        await self._database.write(work)


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncIterator[SqliteTransport]:
    """Open the bus in the file at ``path``, made with its folder where it is missing.

    Raises:
        DamagedError: The file is no SQLite database, or a damaged one; it is left as it is.
    """
    async with open_database(path) as database:
        await database.write(sqlite_queue.create)
        owner = Owner(path.with_name(f"{path.name}.owners"))
        broadcast = Broadcast(path.with_name(f"{path.name}.broadcast"))
        transport = SqliteTransport(database, owner, broadcast, bell_of(path))
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(_kept_going(transport)), tasks.create_task(broadcast.run())]
                yield transport
                for task in running:
                    task.cancel()
        finally:
            broadcast.close()
            owner.close()


async def _kept_going(transport: SqliteTransport) -> None:
    while True:
        try:
            await transport.watch()
        except Exception as error:  # noqa: BLE001 - a full disk or a locked file must not end the service
            log.warning("bus.watch_failed", error=str(error))
            await asyncio.sleep(1)


def _data_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version


def _page(queue: str, after: int) -> Work[list[DeadLetter]]:
    return lambda connection: sqlite_queue.dead_after(connection, queue, after, DEAD_LETTERS_PER_PAGE)


def _event_remark(message: Message) -> Remark:
    head = json.dumps([message.event_id, message.content_type, dict(message.headers)], default=str)
    return Remark("event", f"{message.routing_key}\n{head}", message.body)


def _event_of(remark: Remark) -> Message:
    routing_key, head = remark.topic.split("\n", 1)
    event_id, content_type, headers = json.loads(head)
    return Message(remark.body, routing_key, event_id, headers, content_type)
