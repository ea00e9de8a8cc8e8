"""One run of one task: follow its engine, keep what it says, and learn how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from odm_gateway.adapters.console_log import ConsoleLog
from odm_gateway.adapters.intake import Intake
from odm_gateway.domain.console import clean_line
from odm_gateway.domain.tasks import (
    CRASHES_AT_MOST,
    End,
    Status,
    Task,
    advanced,
    ended,
    taken_in,
    too_many_images,
)
from odm_gateway.ports import Completed, Engine, Failed, Job, Line, Progressed
from shared.errors import PermanentError, TransientError
from shared.messaging.progress import Progress
from shared.objects.port import ObjectStore
from shared.state import Collection, Document

NOTE_EVERY_S = 1.0
LINES_IN_HAND = 5_000
"""An engine that talks faster than its lines can be stored has to wait."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended."""

    status: End
    error: str | None = None
    assets: tuple[str, ...] = ()
    summary: dict[str, Any] = field(default_factory=dict)

    def applied(self, task: Task, now: datetime) -> Task:
        """Return ``task`` with this end."""
        return ended(task, self.status, now, error=self.error, assets=self.assets, summary=self.summary)


CANCELED = Ending(Status.CANCELED)


@dataclass(slots=True)
class Run:
    """A run in hand: its task is leased to ``owner``."""

    document: Document[Task]
    job: Job
    tasks: Collection[Task]
    console: ConsoleLog
    objects: ObjectStore
    engine: Engine
    intake: Intake
    tell: Callable[[Progress], Awaitable[None]]
    owner: str
    max_images: int | None
    retry_after: tuple[timedelta, ...]
    max_runtime: timedelta | None = None
    """A task that takes longer is canceled."""
    _lines: list[str] = field(default_factory=list)
    _written: int = 0
    _progress: Progressed | None = None
    _room: asyncio.Event = field(default_factory=asyncio.Event)

    async def ending(self) -> Ending:
        """Work on the task and return how that ended; a fault of ours is an end, too.

        Raises:
            LeaseLostError: Another gateway has the task now.
            TransientError: The document store cannot be reached.
        """
        task = self.document.body
        if task.cancel_requested:
            return await self._cancel()
        if task.crashes > CRASHES_AT_MOST:
            return Ending(
                Status.FAILED, f"Processing stopped {task.crashes} times together with its gateway."
            )
        await self.console.remove(self.document.id, before_run=task.run)
        listening = asyncio.create_task(self._listen(), name=f"run of {task.id}")
        try:
            return await self._note_until_done(listening)
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def _note_until_done(self, listening: asyncio.Task[Ending]) -> Ending:
        while True:
            await asyncio.wait([listening], timeout=NOTE_EVERY_S)
            is_over = listening.done()  # asked before: what it says while we write must be written, too
            try:
                task = await self._note()
            except TransientError as error:  # no reason to stop a long run while the lease holds
                log.warning("state.unavailable", error=str(error))
                await asyncio.sleep(NOTE_EVERY_S)
                continue
            if task.cancel_requested:
                return await self._stop(listening)
            if is_over:
                return listening.result()
            if task.is_overdue(datetime.now(UTC), self.max_runtime):
                return await self._time_out(listening)

    async def _time_out(self, listening: asyncio.Task[Ending]) -> Ending:
        assert self.max_runtime
        ending = await self._stop(listening)
        minutes = self.max_runtime / timedelta(minutes=1)
        self._lines.append(f"Task timed out after {minutes:g} minutes.")
        await self._note()
        return ending

    async def _stop(self, listening: asyncio.Task[Ending]) -> Ending:
        listening.cancel()
        await asyncio.wait([listening])
        return await self._cancel()

    async def _cancel(self) -> Ending:
        await self.engine.cancel(self.job)
        return CANCELED

    async def _listen(self) -> Ending:
        try:
            return await self._counted_and_followed()
        except PermanentError as error:
            return Ending(Status.FAILED, str(error))
        except Exception as error:  # a bug must not keep the other tasks waiting
            log.exception("task.broken")
            return Ending(Status.FAILED, f"internal error, please report it: {type(error).__name__}: {error}")

    async def _counted_and_followed(self) -> Ending:
        for wait in (*self.retry_after, None):
            try:
                if refusal := await self._refusal():
                    return Ending(Status.FAILED, refusal)
                return await self._follow()
            except TransientError as error:
                if wait is None:
                    return Ending(Status.FAILED, str(error))
                log.warning("task.interrupted", error=str(error), again_in_s=wait.total_seconds())
                trouble = clean_line(f"{error}; trying again in {wait.total_seconds():g} s")
                self._lines.append(trouble)
                await self._tell(self.document.body.progress, trouble)
                await asyncio.sleep(wait.total_seconds())
        raise AssertionError

    async def _refusal(self) -> str | None:
        """Take in what is not in place or not counted yet, and return why there is too little or too much."""
        task = self.document.body
        if not task.is_taken_in:
            taken = await self.intake.take(task, self._hear)
            self.document = await self.tasks.update(
                self.document.id,
                lambda old: taken_in(old, taken.manifest, taken.image_count, taken.total_bytes),
                owner=self.owner,
            )
            task = self.document.body
            self.job = replace(
                self.job,
                manifest=task.manifest,
                image_count=task.image_count,
                total_bytes=task.total_bytes,
            )
        if task.image_count == 0:
            return "There are no images at the given place."
        return too_many_images(task.image_count, self.max_images)

    async def _follow(self) -> Ending:
        async with self.engine.follow(self.job) as events:
            async for event in events:
                match event:
                    case Progressed():
                        self._progress = event
                    case Line(text=text):
                        await self._hear(text)
                    case Completed(assets=assets, summary=summary):
                        return Ending(Status.COMPLETED, assets=assets, summary=dict(summary))
                    case Failed(message=message):
                        return Ending(Status.FAILED, message)
        raise TransientError("The engine fell silent before the end.")

    async def _hear(self, text: str) -> None:
        if line := clean_line(text):
            self._lines.append(line)
        if len(self._lines) > LINES_IN_HAND:
            self._room.clear()
            await self._room.wait()

    async def _note(self) -> Task:
        """Store what was heard since the last time, and return the task as it is now."""
        progress, self._progress = self._progress, None
        if lines := self._lines[:]:
            await self.console.append(self.document.id, self.document.body.run, self._written, lines)
            self._written += len(lines)
            del self._lines[: len(lines)]
            self._room.set()
        if progress is None:
            return (await self.tasks.load(self.document.id)).body
        await self._tell(progress.percent, progress.stage)
        return (
            await self.tasks.update(
                self.document.id,
                lambda task: advanced(task, progress.stage, progress.percent),
                owner=self.owner,
            )
        ).body

    async def _tell(self, percent: float, message: str) -> None:
        task = self.document.body
        await self.tell(
            Progress(
                flight_id=task.flight.flight_id if task.flight else task.id,
                stage="processing",
                done=min(round(percent), 99),  # the end is told by task-completed
                total=100,
                task_id=task.id,
                message=message,
            )
        )
