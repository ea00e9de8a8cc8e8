"""Processes for what an event loop must not wait for, kept warm between one job and the next.

How they start, and how they are told what to do, is their own matter. They start with the first job, and end
when there has been none for a while and with whoever lends them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Protocol, Self, TypeVar

START_S: Final = 60.0


class WarmProcess(Protocol):
    """A process that does one job after the other."""

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""

    async def end(self) -> None:
        """End it, whatever it is at."""


P = TypeVar("P", bound=WarmProcess)


@dataclass(slots=True)
class Loan(Generic[P]):
    """A process for one job."""

    process: P
    is_good: bool = False
    """Whether it may have another: nobody knows what a process is at whose work was broken off."""


class WarmProcesses(Generic[P]):
    """Lends processes, as many as are wanted at a time; a context manager.

    Args:
        start: Start one.
        idle_s: After how long without work a process ends.
    """

    def __init__(self, start: Callable[[], Awaitable[P]], *, idle_s: float) -> None:
        self._start, self._idle_s = start, idle_s
        self._idle: deque[tuple[float, P]] = deque()
        self._ending: asyncio.Task[None] | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed = True
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.wait([self._ending])
        while self._idle:
            await self._idle.pop()[1].end()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Loan[P]]:
        """Lend a process, which ends after the block unless it is called good."""
        loan = Loan(await self._next())
        try:
            yield loan
        finally:
            if loan.is_good and loan.process.is_alive and not self._is_closed:
                self._keep(loan.process)
            else:
                await loan.process.end()

    async def _next(self) -> P:
        while self._idle:
            _, process = self._idle.pop()
            if process.is_alive:
                return process
            await process.end()
        return await self._start()

    def _keep(self, process: P) -> None:
        self._idle.append((asyncio.get_running_loop().time(), process))
        if self._ending is None or self._ending.done():
            self._ending = asyncio.create_task(self._end_idle(), name="idle processes")

    async def _end_idle(self) -> None:
        while self._idle:
            await asyncio.sleep(self._idle_s / 2)
            long_ago_s = asyncio.get_running_loop().time() - self._idle_s
            while self._idle and self._idle[0][0] < long_ago_s:
                await self._idle.popleft()[1].end()


@asynccontextmanager
async def starting(process: WarmProcess) -> AsyncIterator[None]:
    """Wait in the block until a process says that it is ready; it ends unless it does.

    Raises:
        TimeoutError: It takes too long.
    """
    try:
        async with asyncio.timeout(START_S):
            yield
    except BaseException:
        await process.end()
        raise


async def kill(process: asyncio.subprocess.Process) -> None:
    """Kill a process if it lives, and wait for its end; who is canceled leaves it killed."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await asyncio.shield(process.wait())
