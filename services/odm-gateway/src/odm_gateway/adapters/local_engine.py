"""Runs jobs in worker processes on this machine, below a work folder of its own.

A job has the folder ``<work folder>/<job name>`` with ``images``, ``project``, ``job.json`` and, from its end
until it is removed, ``done.json``. A worker lives only as long as somebody follows its job; the next one goes
on from what the project folder holds.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import ValidationError

from odm_gateway.adapters.spare_worker import SpareWorker
from odm_gateway.adapters.staging import Staging
from odm_gateway.adapters.worker_process import (
    DoneMessage,
    FailedMessage,
    LineMessage,
    ProgressMessage,
    WorkerJob,
    WorkerProcess,
    start_worker,
)
from odm_gateway.adapters.worker_start import COMMAND
from odm_gateway.domain.assets import media_type
from odm_gateway.ports import Completed, EngineEvent, Failed, Job, Line, Progressed
from shared.errors import PermanentError
from shared.file_lock import lock_now
from shared.objects.port import ObjectExistsError, ObjectStore

STARTS_AT_MOST = 3
"""A worker that is killed may have been in the way of something bigger; three in a row are no accident."""
LOCK_POLL_S = 0.2
TRACE_AT_MOST_BYTES = 4_000
STAGED_PERCENT = 5.0
WORKED_PERCENT = 97.0

_DEATHS: Mapping[int, str] = {
    signal.SIGKILL: "Not enough memory",
    signal.SIGILL: "Unsupported CPU",
    signal.SIGSEGV: "Cannot process dataset",
    signal.SIGABRT: "Cannot process dataset",
}
"""NodeODM's words for the signals that end a worker."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Died:
    """The worker ended without a result."""

    message: str
    again: bool
    """Whether another start may fare better."""


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """An engine on this machine; see ``odm_gateway.ports.Engine``."""

    objects: ObjectStore
    work_dir: Path
    command: Sequence[str] = COMMAND
    spare: SpareWorker | None = None

    @asynccontextmanager
    async def follow(self, job: Job) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        """Attach to the job of this name, starting it where it does not run."""
        async with aclosing(self._run(job)) as events:
            yield events

    async def cancel(self, job: Job) -> None:
        """Stop the job: without a follower there is no worker left to stop."""

    async def remove(self, job: Job) -> None:
        """Delete the job's folder."""
        await asyncio.to_thread(shutil.rmtree, self._folder(job), ignore_errors=True)

    def _folder(self, job: Job) -> Path:
        return self.work_dir / job.name

    async def _run(self, job: Job) -> AsyncGenerator[EngineEvent, None]:
        try:
            done = await asyncio.to_thread(_read_done, self._folder(job))
            if done is None:
                async for event in self._stage(job):
                    yield event
                async with aclosing(self._work(job)) as events:
                    async for outcome in events:
                        if isinstance(outcome, DoneMessage):
                            done = outcome
                        else:
                            yield outcome
            if done is not None:
                yield Progressed("upload", WORKED_PERCENT)
                yield await self._upload(job, done)
        except PermanentError as error:
            yield Failed(str(error))

    async def _stage(self, job: Job) -> AsyncGenerator[EngineEvent, None]:
        staging = Staging(self.objects)
        files = await staging.files(job)
        async for count in staging.stage(files, self._folder(job) / "images"):
            yield Progressed("staging", STAGED_PERCENT * count / len(files))
        yield Line(f"{len(files)} files are in place.")

    async def _work(self, job: Job) -> AsyncGenerator[EngineEvent | DoneMessage, None]:
        """Yield what workers say, starting another where one died, up to the result or a failure."""
        for start in range(1, STARTS_AT_MOST + 1):
            await _wait_for_lock(self._folder(job) / "project")
            death: _Died | None = None
            async with aclosing(self._start(job)) as events:
                async for event in events:
                    if isinstance(event, _Died):
                        death = event
                    else:
                        yield event
            if death is None:
                return
            trace = await asyncio.to_thread(_tail, self._folder(job) / "worker.log")
            log.warning("worker.died", start=start, reason=death.message, trace=trace)
            if start == STARTS_AT_MOST or not death.again:
                yield Failed(_after(death, start))
                return
            yield Line(f"{death.message}: the worker ended before its time and is started again.")

    async def _start(self, job: Job) -> AsyncGenerator[EngineEvent | DoneMessage | _Died, None]:
        folder = self._folder(job)
        await asyncio.to_thread(_write_job, folder, job)
        work = WorkerJob(
            images=folder / "images",
            project=folder / "project",
            options=job.options,
            log=folder / "worker.log",
        )
        async with self._worker(work) as worker:
            async for message in worker.messages():
                match message:
                    case ProgressMessage(stage=stage, percent=percent):
                        share = (WORKED_PERCENT - STAGED_PERCENT) / 100
                        yield Progressed(stage, STAGED_PERCENT + share * percent)
                    case LineMessage(text=text):
                        yield Line(text)
                    case FailedMessage():
                        yield Failed(_for_user(message, folder))
                        return
                    case DoneMessage():
                        await asyncio.to_thread(_write_done, folder, message)
                        yield message
                        return
            yield _died(await worker.exit_code())

    @asynccontextmanager
    async def _worker(self, job: WorkerJob) -> AsyncIterator[WorkerProcess]:
        """Give ``job`` to the spare worker, or else to a new one; on leaving, it has ended."""
        worker = self.spare.take(job) if self.spare else None
        if worker is None:
            options = json.dumps([option.model_dump() for option in job.options])
            command = [*self.command, str(job.images), str(job.project), "--options", options]
            with job.log.open("ab") as stderr:
                worker = await start_worker(command, stderr)
        try:
            yield worker
        finally:
            await worker.stop()

    async def _upload(self, job: Job, done: DoneMessage) -> Completed:
        project = self._folder(job) / "project"
        for asset in done.assets:
            path = project / asset
            if not path.resolve().is_relative_to(project.resolve()) or not path.is_file():
                raise PermanentError(f"The worker promised {asset}, but did not make it.")
            await self._put(f"{job.products}/{asset}", path)
        return Completed(done.assets, done.summary)

    async def _put(self, key: str, path: Path) -> None:
        kind = media_type(path.name)
        try:
            await self.objects.put(key, path, create_only=True, content_type=kind)
        except ObjectExistsError:  # left by a run that was never finished and whose folder is lost
            await self.objects.put(key, path, content_type=kind)


def _for_user(failed: FailedMessage, folder: Path) -> str:
    """Return what a user has to know of a refusal; bugs go to the log with their trace as well."""
    if failed.code != "BUG":
        return failed.message
    log.error("worker.broken", message=failed.message, trace=_tail(folder / "project/engine.log"))
    if "MemoryError" in failed.message or "Insufficient memory" in failed.message:
        return f"Not enough memory: {failed.message}"
    if os.strerror(errno.ENOSPC) in failed.message:
        return "The disk of the gateway's work folder is full; make room and ask again."
    return f"internal error, please report it: {failed.message}"


def _tail(path: Path) -> str:
    """Return the end of a log file, where the reason stands."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TRACE_AT_MOST_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _died(exit_code: int) -> _Died:
    number = -exit_code if exit_code < 0 else exit_code - 128
    if number > 0:
        return _Died(_DEATHS.get(number, f"Processing failed ({128 + number})"), again=True)
    # Without a message, 2 is a bug, which stays one; 3 is a cancel that we did not ask for.
    return _Died(f"Processing failed ({exit_code})", again=exit_code == 3)  # noqa: PLR2004 - explained above


def _after(death: _Died, starts: int) -> str:
    if death.message == _DEATHS[signal.SIGKILL]:
        return (
            f"{death.message}: the worker was killed {starts} times. Use fewer or smaller images, a lower"
            " feature-quality, or a machine with more memory."
        )
    return death.message if starts == 1 else f"{death.message}: the worker broke down {starts} times."


async def _wait_for_lock(project: Path) -> None:
    """Return once no worker works in ``project``: that of a killed gateway needs a moment to notice."""
    while not await asyncio.to_thread(_is_free, project):  # noqa: ASYNC110 - another process holds it
        await asyncio.sleep(LOCK_POLL_S)


def _is_free(project: Path) -> bool:
    project.mkdir(parents=True, exist_ok=True)
    lock = lock_now(project / ".lock")
    if lock is None:
        return False
    lock.close()
    return True


def _read_done(folder: Path) -> DoneMessage | None:
    try:
        return DoneMessage.model_validate_json((folder / "done.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write_job(folder: Path, job: Job) -> None:
    """Tell the whole job to workers that need more of it than the built-in engine's."""
    (folder / "job.json").write_text(job.told.model_dump_json(), encoding="utf-8")


def _write_done(folder: Path, done: DoneMessage) -> None:
    """Remember the result, so that a crash while uploading costs no second run with other bytes."""
    unfinished = folder / ".done.json.partial"
    with unfinished.open("wb") as file:
        file.write(done.model_dump_json().encode())
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(folder / "done.json")
