"""Processes that compute, kept warm between jobs.

The event loop never waits for pixels; a library that crashes, exits or takes too much memory takes one
computation with it and nothing else. Processes start with the first job and end when there has been none for
a while, when they have grown fat, and with their parent, however that ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog
from pydantic import ValidationError

from datalab.execution.job import ANSWER, Job, Made, Said
from datalab.execution.machine_code import numba_environment
from datalab.operations.operation import OperationError
from shared.errors import DamagedError, PermanentError, StorageFullError, TransientError
from shared.warm import WarmProcesses, kill, starting

NICENESS: Final = 10
"""The event loop of the worker comes first: it holds the leases."""
LINE_AT_MOST: Final = 1 << 18
FAT: Final = 0.5
"""Of the memory that a job may take: a process that keeps more between jobs is ended."""
_ENVIRONMENT: Final = {
    "OPENBLAS_NUM_THREADS": "1",  # as many processes as cores, one thread each
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
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


class Processes:
    """Processes for jobs, as many as jobs at a time; a context manager.

    Args:
        memory_bytes: How much a job may take.
        time_limit_s: How long a job may take.
        idle_s: After how long without work a process ends.
        code_cache: Where numba keeps what it has compiled.
    """

    def __init__(self, memory_bytes: int, time_limit_s: float, idle_s: float, code_cache: Path) -> None:
        self._memory_bytes, self._time_limit_s = memory_bytes, time_limit_s
        self._warm = WarmProcesses(partial(_Process.started, memory_bytes, code_cache), idle_s=idle_s)

    async def __aenter__(self) -> Self:
        await self._warm.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._warm.__aexit__(kind, error, trace)

    async def compute(self, job: Job, progress: Callable[[float], None]) -> Made:
        """Return what came out; when cancelled, the process is killed at once.

        Raises:
            OperationError: The inputs do not allow it.
            TransientError: Something that the operation asks does not answer, or no process can be started;
                ``StorageFullError``: there is no room for what comes out.
            CrashedError: The process ended over it, or ran out of memory.
            TooSlowError: It took longer than it may.
            BrokenError: The operation has a fault.
        """
        async with self._warm.lent() as loan:
            try:
                async with asyncio.timeout(self._time_limit_s):
                    said = await loan.process.computed(job, progress)
            except TimeoutError as error:
                raise TooSlowError(f"it took longer than {self._time_limit_s:g} s") from error
            loan.is_good = said.failed not in ("memory", "broken") and not self._is_fat(said)
        _check(said)
        return await asyncio.to_thread(_answer, job)

    def _is_fat(self, said: Said) -> bool:
        return said.resident_bytes > FAT * self._memory_bytes


@dataclass(eq=False, slots=True)
class _Process:
    process: asyncio.subprocess.Process

    @classmethod
    async def started(cls, memory_bytes: int, code_cache: Path) -> Self:
        command = (sys.executable, "-m", "datalab.execution.child")
        arguments = (os.getpid(), NICENESS, memory_bytes)
        code = await asyncio.to_thread(numba_environment, code_cache)
        environment = os.environ | _ENVIRONMENT | code
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
            async with starting(started):
                await started._said()
        except (TimeoutError, CrashedError) as error:
            raise TransientError(f"a process to compute in does not start: {error}") from error
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
        await kill(self.process)


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
        case "full":
            raise StorageFullError(said.message)
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
