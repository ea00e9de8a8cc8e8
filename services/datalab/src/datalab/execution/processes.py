"""Processes that compute, kept warm between jobs.

The event loop never waits for pixels; a library that crashes, exits or takes too much memory takes one
computation with it and nothing else. Processes start with the first job and end when there has been none for
a while, when they have grown fat, and with their parent, however that ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog
from pydantic import ValidationError

from datalab.execution.job import ANSWER, Job, Made, Said
from datalab.operations.operation import OperationError
from shared.errors import DamagedError, PermanentError, TransientError

NICENESS: Final = 10
"""The event loop of the worker comes first: it holds the leases."""
START_S: Final = 60.0
LINE_AT_MOST: Final = 1 << 18
FAT: Final = 0.5
"""Of the memory that a job may take: a process that keeps more between jobs is ended."""
_ENVIRONMENT: Final = {
    "OPENBLAS_NUM_THREADS": "1",  # as many processes as cores, one thread each
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OPENCV_LOG_LEVEL": "SILENT",
    "PYTHONWARNINGS": "ignore",  # nobody would read them
}

log = structlog.get_logger(__name__)


class CrashedError(Exception):
    """The process ended, or had to be, without an answer."""


class TooSlowError(PermanentError):
    """The job took longer than it may."""


class BrokenError(PermanentError):
    """The operation failed by a fault of its own."""


@dataclass(slots=True)
class Processes:
    """Processes for jobs, as many as jobs at a time; a context manager."""

    memory_bytes: int
    time_limit_s: float
    idle_s: float
    code_cache: Path
    """Where numba keeps what it has compiled."""
    _idle: list[_Process] = field(default_factory=list)
    _ending: asyncio.Task[None] | None = None
    _is_closed: bool = False

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
            await self._idle.pop().end()

    async def compute(self, job: Job, progress: Callable[[float], None]) -> Made:
        """Return what came out; when cancelled, the process is killed at once.

        Raises:
            OperationError: The inputs do not allow it.
            TransientError: Something that the operation asks does not answer, or no process can be started.
            CrashedError: The process ended over it, or ran out of memory.
            TooSlowError: It took longer than it may.
            BrokenError: The operation has a fault.
        """
        async with self._process() as process:
            try:
                async with asyncio.timeout(self.time_limit_s):
                    said = await process.computed(job, progress)
            except TimeoutError as error:
                raise TooSlowError(f"it took longer than {self.time_limit_s:g} s") from error
            process.is_good = said.failed not in ("memory", "broken") and not self._is_fat(said)
        _check(said)
        return await asyncio.to_thread(_answer, job)

    def _is_fat(self, said: Said) -> bool:
        return said.resident_bytes > FAT * self.memory_bytes

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[_Process]:
        """Lend a process; one whose work was broken off is ended, for nobody knows what it is at."""
        process = await self._next()
        try:
            yield process
        finally:
            if process.is_good and process.is_alive and not self._is_closed:
                process.is_good = False
                process.idle_since_s = asyncio.get_running_loop().time()
                self._idle.append(process)
            else:
                await process.end()

    async def _next(self) -> _Process:
        while self._idle:
            process = self._idle.pop()
            if process.is_alive:
                return process
            await process.end()
        process = await _Process.started(self.memory_bytes, self.code_cache)
        if self._ending is None or self._ending.done():
            self._ending = asyncio.create_task(self._end_idle(), name="idle processes")
        return process

    async def _end_idle(self) -> None:
        while True:
            await asyncio.sleep(self.idle_s / 2)
            long_ago_s = asyncio.get_running_loop().time() - self.idle_s
            idle = [one for one in self._idle if one.idle_since_s < long_ago_s]
            self._idle = [one for one in self._idle if one not in idle]
            for process in idle:
                await process.end()


@dataclass(eq=False, slots=True)
class _Process:
    process: asyncio.subprocess.Process
    is_good: bool = False
    idle_since_s: float = 0.0

    @classmethod
    async def started(cls, memory_bytes: int, code_cache: Path) -> Self:
        command = (sys.executable, "-m", "datalab.execution.child")
        arguments = (os.getpid(), NICENESS, memory_bytes)
        environment = os.environ | _ENVIRONMENT | {"NUMBA_CACHE_DIR": str(code_cache)}
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                *map(str, arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_AT_MOST,
                env=environment,
            )
        except OSError as error:
            raise TransientError(f"no process to compute in can be started: {error}") from error
        started = cls(process)
        try:
            async with asyncio.timeout(START_S):
                await started._said()
        except (TimeoutError, CrashedError) as error:
            await started.end()
            raise TransientError(f"a process to compute in does not start: {error}") from error
        except BaseException:
            await started.end()
            raise
        return started

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    async def computed(self, job: Job, progress: Callable[[float], None]) -> Said:
        """Return how the job ended."""
        stdin = self.process.stdin
        assert stdin is not None
        try:
            stdin.write(job.model_dump_json().encode() + b"\n")
            await stdin.drain()
        except OSError as error:
            raise CrashedError(f"the process was gone: {error}") from error
        while True:
            said = await self._said()
            if said.done or said.failed:
                return said
            if said.progress is not None:
                progress(said.progress)

    async def _said(self) -> Said:
        stdout = self.process.stdout
        assert stdout is not None
        try:
            line = await stdout.readline()
            if not line.endswith(b"\n"):
                raise CrashedError(_ending_of(await self.process.wait()))
            return Said.model_validate_json(line)
        except ValueError as error:  # pydantic's, too
            raise CrashedError("the process said what is no answer") from error

    async def end(self) -> None:
        """End the process, whatever it is at."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                self.process.kill()
        await asyncio.shield(self.process.wait())


def _ending_of(code: int) -> str:
    if code == -9:  # noqa: PLR2004 - SIGKILL
        return "its process was killed, which the system does where memory runs out"
    return f"its process ended with {code}"


def _check(said: Said) -> None:
    """Raise what a job that did not succeed is."""
    match said.failed:
        case None:
            return
        case "user":
            raise OperationError(said.message)
        case "transient":
            raise TransientError(said.message)
        case "memory":
            raise CrashedError(said.message)
        case "broken":
            log.error("operation.broken", error=said.message, trace=said.trace)
            raise BrokenError(said.message)


def _answer(job: Job) -> Made:
    try:
        return Made.model_validate_json((job.folder / ANSWER).read_bytes())
    except (OSError, ValidationError) as error:
        raise DamagedError(f"the answer of a computation cannot be read: {error}") from error
