"""How many files are stored at the same time: each has some MiB in memory, however many clients there are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.errors import TransientError

AT_ONCE = 16
AT_ONCE_ELSEWHERE = 8
SLOWEST_BYTES_PER_S = 8_192
PATIENCE_S = 20.0
LOOK_EVERY_S = 1.0


@dataclass(slots=True, eq=False)
class _Holder:
    """A file that has a slot."""

    scope: asyncio.Timeout
    looked_at_s: float = field(default_factory=time.monotonic)
    arrived_bytes: int = 0
    """Since somebody looked."""
    is_waiting: bool = False
    """For its client, and not for us."""

    async def counted(self, first: bytes, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        chunk: bytes | None = first
        while chunk is not None:
            self.arrived_bytes += len(chunk)
            if chunk:
                yield chunk
            self.is_waiting = True
            chunk = await anext(content, None)
            self.is_waiting = False

    def give_up_if_slow(self, slowest_bytes_per_s: float, patience_s: float) -> None:
        now_s = time.monotonic()
        if (passed_s := now_s - self.looked_at_s) < patience_s:
            return
        if self.is_waiting and self.arrived_bytes < slowest_bytes_per_s * passed_s:
            self.scope.reschedule(asyncio.get_running_loop().time())
        self.looked_at_s, self.arrived_bytes = now_s, 0


@dataclass(slots=True)
class Slots:
    """Lets some files be stored together; while others wait, those whose clients dawdle are given up."""

    at_once: int = AT_ONCE
    slowest_bytes_per_s: float = SLOWEST_BYTES_PER_S
    patience_s: float = PATIENCE_S
    look_every_s: float = LOOK_EVERY_S
    _free: asyncio.Semaphore = field(init=False)
    _holders: set[_Holder] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin with all of them free."""
        self._free = asyncio.Semaphore(self.at_once)

    @asynccontextmanager
    async def one(self, content: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Take a slot for ``content`` once something of it has come.

        Raises:
            TransientError: It came too slowly while others waited.
        """
        first = await anext(content, b"")
        await self._take()
        try:
            async with asyncio.timeout(None) as scope:
                holder = _Holder(scope)
                self._holders.add(holder)
                try:
                    yield holder.counted(first, content)
                finally:
                    self._holders.discard(holder)
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise TransientError("This node is busy, and the file came too slowly; try again.") from error
        finally:
            self._free.release()

    async def _take(self) -> None:
        """Wait for a slot in the order of coming."""
        taking = asyncio.ensure_future(self._free.acquire())
        try:
            while not (await asyncio.wait([taking], timeout=self.look_every_s))[0]:
                for holder in tuple(self._holders):
                    holder.give_up_if_slow(self.slowest_bytes_per_s, self.patience_s)
        except asyncio.CancelledError:
            if not taking.cancel():  # it has just been given
                self._free.release()
            raise
