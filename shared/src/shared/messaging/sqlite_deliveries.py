"""Taking messages out of the SQLite bus: a pump per consumer, and deliveries that settle by one write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakValueDictionary

import structlog

from shared.messaging import sqlite_queue
from shared.messaging.port import Death, Delivery, Message
from shared.messaging.sqlite_queue import Taken
from shared.sqlite import Database, Work

log = structlog.get_logger(__name__)

PAUSE_AFTER_FAILURE_S = 1.0


class Bell:
    """Wakes the consumers of this process at once when this process publishes."""

    def __init__(self) -> None:
        self._wakers: dict[str, set[Callable[[], None]]] = {}

    def add(self, queue: str, wake: Callable[[], None]) -> None:
        """Call ``wake`` whenever something comes into ``queue``."""
        self._wakers.setdefault(queue, set()).add(wake)

    def remove(self, queue: str, wake: Callable[[], None]) -> None:
        """Do not call ``wake`` any more."""
        self._wakers[queue].discard(wake)

    def ring(self, queues: Iterable[str]) -> None:
        """Wake the consumers of ``queues``."""
        for queue in queues:
            for wake in self._wakers.get(queue, ()):
                wake()

    def ring_all(self) -> None:
        """Wake every consumer."""
        self.ring(self._wakers)


_bells: WeakValueDictionary[tuple[int, Path], Bell] = WeakValueDictionary()


def bell_of(path: Path) -> Bell:
    """Return the bell that all transports on one file share within one event loop."""
    return _bells.setdefault((id(asyncio.get_running_loop()), path.resolve()), Bell())


class SqliteDelivery:
    """One message in our hands."""

    def __init__(self, session: SqliteDeliveries, taken: Taken) -> None:
        self._session = session
        self._taken = taken

    @property
    def message(self) -> Message:
        """Return the message, with its original bytes."""
        return self._taken.message

    @property
    def attempt(self) -> int:
        """Return which attempt this is, 1 first."""
        return self._taken.attempt

    async def ack(self) -> None:
        """Remove the message."""
        await self._settle("acked", lambda c: sqlite_queue.acknowledge(c, *self._key))

    async def requeue(self) -> None:
        """Hand the message back untouched."""
        await self._settle("requeued", lambda c: sqlite_queue.give_back_one(c, *self._key))

    async def retry(self, delay: timedelta) -> None:
        """Make the message come again, as the next attempt, after ``delay``."""
        until = time.time() + delay.total_seconds()
        await self._settle("postponed", lambda c: sqlite_queue.postpone(c, *self._key, until))

    async def bury(self, death: Death) -> None:
        """Move the message to the dead letters."""
        now = time.time()
        await self._settle("buried", lambda c: sqlite_queue.bury(c, *self._key, death, now))

    @property
    def _key(self) -> tuple[int, str]:
        return self._taken.id, self._session.holder

    async def _settle(self, how: str, work: Work[bool]) -> None:
        if not await self._session.settle(self._taken.id, work):
            log.warning(
                "delivery.stale", queue=self._session.queue, settled=how, event_id=self.message.event_id
            )


class SqliteDeliveries:
    """The messages of one queue that come to one consumer."""

    def __init__(self, database: Database, queue: str, holder: str, prefetch: int, bell: Bell) -> None:
        self.queue = queue
        self.holder = holder
        self._database = database
        self._prefetch = prefetch
        self._bell = bell
        self._wake = asyncio.Event()
        self._held: set[int] = set()
        self._waiting: asyncio.Queue[Taken | None] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self._failing = False

    @property
    def is_open(self) -> bool:
        """Return whether messages come."""
        return self._pump is not None and not self._pump.done() and not self._failing

    async def __aenter__(self) -> Self:
        self._bell.add(self.queue, self._wake.set)
        self._pump = asyncio.create_task(self._run(), name=f"deliver {self.queue}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self._leave())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        taken = await self._waiting.get()
        if taken is None:
            self._waiting.put_nowait(None)
            raise StopAsyncIteration
        return SqliteDelivery(self, taken)

    async def stop(self) -> None:
        """Take no more messages, and put back those that nobody has looked at."""
        await self._stop_pump()
        while not self._waiting.empty():
            if taken := self._waiting.get_nowait():
                self._held.discard(taken.id)
        self._waiting.put_nowait(None)
        await self._give_back(keep=frozenset(self._held))

    async def settle(self, message_id: int, work: Work[bool]) -> bool:
        """Run one settling write, and make room for the next message."""
        settled = await self._database.write(work)
        self._held.discard(message_id)
        self._wake.set()
        return settled

    async def _leave(self) -> None:
        self._bell.remove(self.queue, self._wake.set)
        await self._stop_pump()
        await self._give_back()

    async def _stop_pump(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])

    async def _give_back(self, keep: Iterable[int] = ()) -> None:
        await self._database.write(lambda c: sqlite_queue.give_back(c, self.holder, keep))
        self._bell.ring([self.queue])

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                due = await self._fill()
                self._failing = False
            except Exception as error:  # noqa: BLE001 - whatever it is, messages must come again after it
                log.warning("bus.take_failed", queue=self.queue, error=str(error))
                self._failing, due = True, time.time() + PAUSE_AFTER_FAILURE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else max(0.0, due - time.time())):
                    await self._wake.wait()

    async def _fill(self) -> float | None:
        """Take what there is room for; return when to look again without being woken."""
        room = self._prefetch - len(self._held)
        if room <= 0:
            return None
        due = await self._database.read(lambda c: sqlite_queue.next_due(c, self.queue))
        if due is None or due > time.time():
            return due
        for taken in await self._take(room):
            self._held.add(taken.id)
            self._waiting.put_nowait(taken)
        return due if len(self._held) < self._prefetch else None

    async def _take(self, room: int) -> list[Taken]:
        now = time.time()
        return await self._database.write(lambda c: sqlite_queue.take(c, self.queue, self.holder, room, now))
