"""One worker process: started in its own process group, heard line by line, never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from odm_gateway.adapters.worker_start import start_process
from shared.events import Option

READ_BYTES = 1 << 16
LINE_AT_MOST_BYTES = 8 << 20
"""The closing message carries the figures of thousands of photos; anything longer is cut."""
STOP_WITHIN_S = 10.0


class WorkerJob(BaseModel):
    """What a worker is asked to do."""

    model_config = ConfigDict(frozen=True)

    images: Path
    project: Path
    options: tuple[Option, ...]
    log: Path
    """Gets what the worker writes to its standard error."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ProgressMessage(_Message):
    """The worker is so far."""

    type: Literal["progress"]
    stage: str
    percent: float


class LineMessage(_Message):
    """A line for the console."""

    type: Literal["line"] = "line"
    text: str


class DoneMessage(_Message):
    """The project is finished."""

    type: Literal["done"] = "done"
    assets: tuple[str, ...]
    summary: dict[str, Any] = {}


class FailedMessage(_Message):
    """The worker refuses; ``message`` is for the user."""

    type: Literal["failed"]
    code: str
    message: str


WorkerMessage = ProgressMessage | LineMessage | DoneMessage | FailedMessage

_PARSER: TypeAdapter[WorkerMessage] = TypeAdapter(Annotated[WorkerMessage, Field(discriminator="type")])


class WorkerProcess:
    """A running worker."""

    def __init__(self, process: subprocess.Popen[bytes], said: asyncio.StreamReader) -> None:
        self._process = process
        self._said = said
        self._ended = _exit_of(process)

    @property
    def is_running(self) -> bool:
        """Return whether the worker is not known to have ended."""
        return self._process.returncode is None

    def give(self, job: WorkerJob) -> None:
        """Name its job to a worker that waits for one."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it is dead, which its exit code tells
            self._process.stdin.write(job.model_dump_json().encode() + b"\n")

    async def messages(self) -> AsyncIterator[WorkerMessage]:
        """Yield what the worker says until it ends; what is no message is a line of its console."""
        async for line in _lines(self._said):
            if line.strip():
                yield parse_message(line)

    async def exit_code(self) -> int:
        """Return how the worker ended: its exit code, or the negative number of a signal."""
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Ask the worker to end, and make it end with everything that it started."""
        assert self._process.stdin
        self._process.stdin.close()
        _signal_group(self._process.pid, signal.SIGTERM)
        draining = asyncio.create_task(self._drain(), name="last words of a worker")
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN_S):
                await self.exit_code()
        _signal_group(self._process.pid, signal.SIGKILL)
        await asyncio.wait([draining])
        await self.exit_code()

    async def _drain(self) -> None:
        """Read what nobody wants any more: a worker must not be stuck in a full pipe."""
        while await self._said.read(READ_BYTES):
            pass


async def start_worker(command: Sequence[str], stderr: IO[bytes] | int) -> WorkerProcess:
    """Run ``command``; the caller has to stop it."""
    return await adopted(start_process(command, stderr))


async def adopted(process: subprocess.Popen[bytes]) -> WorkerProcess:
    """Return a worker that was started before there was an event loop; the caller has to stop it.

    Where this is cancelled, nobody gets the worker, so it is ended here.
    """
    said = asyncio.StreamReader()
    try:
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(said), process.stdout
        )
    except BaseException:
        _end(process)
        raise
    return WorkerProcess(process, said)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _exit_of(process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
    """Have a thread wait for the end of ``process``, which no event loop does portably."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def wait() -> None:
        code = process.wait()
        with suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(ended.set_result, code)

    threading.Thread(target=wait, name="end of a worker", daemon=True).start()
    return ended


def parse_message(line: bytes) -> WorkerMessage:
    """Return what the worker said; anything else that it wrote is text for the console."""
    try:
        return _PARSER.validate_json(line)
    except ValidationError:
        return LineMessage(text=line.decode(errors="replace"))


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines of any length, cut at ``LINE_AT_MOST_BYTES``."""
    kept: list[bytes] = []
    kept_bytes = 0
    while chunk := await stream.read(READ_BYTES):
        *finished, rest = chunk.split(b"\n")
        for end in finished:
            yield b"".join([*kept, end])[:LINE_AT_MOST_BYTES]
            kept, kept_bytes = [], 0
        if kept_bytes < LINE_AT_MOST_BYTES:
            kept.append(rest)
            kept_bytes += len(rest)
    if last := b"".join(kept):
        yield last[:LINE_AT_MOST_BYTES]


def _signal_group(process_id: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process_id, number)
