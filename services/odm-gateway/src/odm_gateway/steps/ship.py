"""Sends the runner's console and progress to the object store while it runs: they survive its pod."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from odm_gateway.domain.exit_codes import exit_text
from odm_gateway.domain.job_manifest import (
    JobFailure,
    ShippedChunk,
    console_key,
    console_prefix,
    failure_key,
)
from odm_gateway.runner.workspace import write_whole
from odm_gateway.steps.opening import Step
from shared.errors import TransientError
from shared.objects.port import ObjectExistsError

LINES_AT_MOST = 500
BYTES_AT_MOST = 4 << 20
SILENCE_AT_MOST_S = 600.0
"""ODM may say nothing for hours; the gateway would think that the pod is gone."""
LINGER_POLL_S = 0.2
LAST_TRIES, LAST_PAUSE_S = 4, 3.0
"""Kubernetes waits for half a minute in all."""

log = structlog.get_logger()


class RunnerStatus(BaseModel):
    """What the runner tells of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    percent: float = 0
    stage: str = ""
    exit_code: int | None = None
    message: str | None = None
    peak_memory_bytes: int = 0
    finished: bool = False


@dataclass(slots=True)
class Shipment:
    """A console on its way; lines and chunks are numbered through all starts and all pods of the job."""

    step: Step
    _sequence: int = 0
    _next_line: int = 0
    _offset: int = 0
    """Of the next line in the file."""
    _told: tuple[float, str] = (0.0, "")
    _told_at_s: float = field(default_factory=time.monotonic)
    _is_ready: bool = False

    async def run(self, stop: asyncio.Event, every_s: float, linger_s: float) -> None:
        """Ship until the runner has ended, for which it gets ``linger_s`` once ``stop`` is set.

        Whoever sets ``stop`` for a SIGTERM knows that the runner gets one, too, and may have last words.
        The object store may be away for any time; what could not be sent goes later.
        """
        status = RunnerStatus()
        while not (status.finished or stop.is_set()):
            with suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await stop.wait()
            with _delays_told():
                status = await self.ship()
        deadline = time.monotonic() + linger_s
        while status.exit_code is None and time.monotonic() < deadline:
            await asyncio.sleep(LINGER_POLL_S)
            status = await asyncio.to_thread(_status, self.step.workspace.status)
        for _ in range(LAST_TRIES):
            with _delays_told():
                await self._tell_failure(await self.ship())
                return
            await asyncio.sleep(LAST_PAUSE_S)

    async def ship(self) -> RunnerStatus:
        """Send what is new and return the status from before that: a finished one's console is whole.

        Raises:
            TransientError: The object store cannot be reached.
        """
        if not self._is_ready:
            await self._resume()
        status = await asyncio.to_thread(_status, self.step.workspace.status)
        while True:
            lines, offset = await asyncio.to_thread(
                _lines, self.step.workspace.console, self._offset, is_whole=status.finished
            )
            is_news = (status.percent, status.stage) != self._told
            is_overdue = time.monotonic() - self._told_at_s > SILENCE_AT_MOST_S
            if not (lines or is_news or is_overdue):
                return status
            if await self._put(lines, status):
                self._offset = offset

    async def _put(self, lines: list[str], status: RunnerStatus) -> bool:
        """Store a chunk; return whether it is ours."""
        chunk = ShippedChunk(
            first_line=self._next_line,
            lines=tuple(lines),
            percent=status.percent,
            stage=status.stage,
            peak_memory_bytes=status.peak_memory_bytes,
        )
        key = console_key(self.step.job.job, self._sequence)
        try:
            await self.step.objects.put(
                key, chunk.model_dump_json().encode(), create_only=True, content_type="application/json"
            )
        except ObjectExistsError:  # a pod that was given up is still alive
            await self._resume()
            return False
        self._sequence += 1
        self._next_line += len(lines)
        self._told, self._told_at_s = (status.percent, status.stage), time.monotonic()
        return True

    async def _resume(self) -> None:
        """Find out how far earlier pods have come."""
        keys = [stored.key async for stored in self.step.objects.list(console_prefix(self.step.job.job))]
        self._sequence, self._next_line = 0, 0
        if keys:
            last = ShippedChunk.model_validate_json(await self.step.objects.read(keys[-1]))
            self._sequence = int(Path(keys[-1]).stem) + 1
            self._next_line = last.first_line + len(last.lines)
            self._told = (last.percent, last.stage)
        base = await asyncio.to_thread(_base, self.step.workspace.folder / "console.base", self._next_line)
        self._offset = await asyncio.to_thread(
            _offset_of, self.step.workspace.console, self._next_line - base
        )
        self._is_ready = True

    async def _tell_failure(self, status: RunnerStatus) -> None:
        key = failure_key(self.step.job.job)
        if not status.finished or not status.exit_code:
            await self.step.objects.delete(key)  # that of an earlier start says nothing any more
            return
        failure = JobFailure(
            exit_code=status.exit_code,
            message=status.message or exit_text(status.exit_code),
            peak_memory_bytes=status.peak_memory_bytes,
        )
        await self.step.objects.put(key, failure.model_dump_json().encode(), content_type="application/json")


@contextmanager
def _delays_told() -> Iterator[None]:
    try:
        yield
    except TransientError as error:
        log.warning("console.delayed", error=str(error))


def _status(path: Path) -> RunnerStatus:
    try:
        return RunnerStatus.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):  # the runner has not begun
        return RunnerStatus()


def _lines(path: Path, offset: int, *, is_whole: bool) -> tuple[list[str], int]:
    """Return some lines from ``offset`` on and where the next ones begin.

    Args:
        path: The console, if it is there already.
        offset: A line's begin.
        is_whole: Whether the last line counts though it has no end.
    """
    found: list[str] = []
    size_bytes = 0
    with suppress(FileNotFoundError), path.open("rb") as console:
        console.seek(offset)
        while len(found) < LINES_AT_MOST and size_bytes < BYTES_AT_MOST:
            line = console.readline()
            if not line or not (is_whole or line.endswith(b"\n")):
                break
            size_bytes += len(line)
            found.append(line.decode(errors="replace").rstrip("\n"))
    return found, offset + size_bytes


def _base(path: Path, shipped: int) -> int:
    """Return the number of the console file's first line: a workspace that is lost starts a new file."""
    with suppress(OSError, ValueError):
        return int(path.read_text())
    write_whole(path, str(shipped))
    return shipped


def _offset_of(path: Path, count: int) -> int:
    """Return where the line behind the first ``count`` begins."""
    offset = 0
    with suppress(FileNotFoundError), path.open("rb") as console:
        for _ in range(count):
            offset += len(console.readline())
    return offset
