"""Turns at what takes much: few have one at once, some wait, and whoever comes then is sent away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import TransientError


class Turns:
    """Who is at it and who waits.

    Args:
        at_once: How many have a turn at the same time.
        at_most: How many there are, those who wait included.
        refusal: What the others are told.
    """

    def __init__(self, at_once: int, at_most: int, refusal: str) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._at_most, self._refusal = at_most, refusal
        self._there = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the block ends.

        Raises:
            TransientError: There are so many already.
        """
        if self._there >= self._at_most:
            raise TransientError(self._refusal)
        self._there += 1
        try:
            async with self._free:
                yield
        finally:
            self._there -= 1
