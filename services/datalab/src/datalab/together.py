"""Several things at once, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

R = TypeVar("R")


async def together(at_once: int, works: Sequence[Callable[[], Awaitable[R]]]) -> list[R]:
    """Return what ``works`` return, some at a time; the first error ends the others."""
    free = asyncio.Semaphore(at_once)

    async def one(work: Callable[[], Awaitable[R]]) -> R:
        async with free:
            return await work()

    tasks = [asyncio.create_task(one(work)) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
