"""Which receivers of webhooks are silent: who waits for them must not keep the others waiting."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.errors import TransientError

AT_ONCE = 8
TURN_WITHIN_S = 5.0
SILENT_FOR_S = 30.0
RECEIVERS_AT_MOST = 10_000


class SilentError(TransientError):
    """The receiver does not answer now, or has enough to do."""


@dataclass(slots=True)
class _Receiver:
    free: asyncio.Semaphore
    closed_until_s: float = 0.0


@dataclass(slots=True)
class Receivers:
    """Lets few requests at a time go to each receiver, and for a while none to one that did not answer."""

    at_once: int = AT_ONCE
    turn_within_s: float = TURN_WITHIN_S
    silent_for_s: float = SILENT_FOR_S
    _known: OrderedDict[str, _Receiver] = field(default_factory=OrderedDict)

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait for a turn with a receiver; a timeout that leaves the block closes it for a while.

        Raises:
            SilentError: It did not answer a moment ago, or there was no turn in time.
        """
        receiver = self._receiver(name)
        self._check(receiver, name)
        await self._queue(receiver, name)
        try:
            self._check(receiver, name)  # what went before may have found it silent
            yield
            receiver.closed_until_s = 0.0
        except TimeoutError:
            receiver.closed_until_s = time.monotonic() + self.silent_for_s
            raise
        finally:
            receiver.free.release()

    async def _queue(self, receiver: _Receiver, name: str) -> None:
        try:
            async with asyncio.timeout(self.turn_within_s):
                await receiver.free.acquire()
        except TimeoutError as error:
            raise SilentError(f"{name} has enough to do with other webhooks") from error

    def _receiver(self, name: str) -> _Receiver:
        receiver = self._known.setdefault(name, _Receiver(asyncio.Semaphore(self.at_once)))
        self._known.move_to_end(name)
        if len(self._known) > RECEIVERS_AT_MOST:
            self._known.popitem(last=False)
        return receiver

    def _check(self, receiver: _Receiver, name: str) -> None:
        if time.monotonic() < receiver.closed_until_s:
            raise SilentError(f"{name} did not answer a moment ago")
