"""How slowly a file may come before it is given up."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import ClientError

from shared.errors import TransientError
from shared.streams import Chunk

C = TypeVar("C", bytes, Chunk)


@dataclass(frozen=True, slots=True)
class Pace:
    """The least rate; only the time that we wait for bytes counts."""

    slowest_bytes_per_s: float = 4096
    over_s: float = 60.0

    def is_too_slow(self, received_bytes: int, waited_s: float) -> bool:
        """Return whether so much in so long is hopeless."""
        return waited_s > self.over_s and received_bytes < self.slowest_bytes_per_s * waited_s


async def paced(read: Callable[[], Awaitable[C]], where: str, pace: Pace) -> AsyncIterator[C]:
    """Yield the body of an answer as it comes.

    Args:
        read: Returns the next bytes, none at the end.
        where: What is read, as it may be told.
        pace: How slowly it may come.

    Raises:
        TransientError: It broke off, or comes too slowly.
    """
    received_bytes, waited_s = 0, 0.0
    while True:
        begun_s = time.monotonic()
        try:
            chunk = await read()
        except (ClientError, TimeoutError, OSError) as error:
            raise TransientError(
                f"{where} broke off after {received_bytes} bytes ({type(error).__name__})"
            ) from None
        if not chunk:
            return
        received_bytes += len(chunk)
        waited_s += time.monotonic() - begun_s
        if pace.is_too_slow(received_bytes, waited_s):
            raise TransientError(f"{where} comes too slowly: {received_bytes} bytes in {waited_s:.0f} s")
        yield chunk
