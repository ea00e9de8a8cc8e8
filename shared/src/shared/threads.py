"""Blocking work in threads, of which nothing stays open when whoever waits for it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import TypeVar

T = TypeVar("T")


async def finished(function: Callable[[], T]) -> T:
    """Run ``function`` in a thread; when cancelled, wait for its end first: then its files can be closed."""
    running = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):  # anyio, below Starlette, cancels again and again
                await asyncio.wait([running])
        raise


async def entered(stack: ExitStack, make: Callable[[], AbstractContextManager[T]]) -> T:
    """Make and enter a context manager in a thread; ``stack`` leaves it, though nobody may wait any more."""
    return await finished(lambda: stack.enter_context(make()))
