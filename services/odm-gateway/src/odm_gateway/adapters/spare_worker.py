"""A worker process that imports the engine, which takes a second or more, before there is a job for it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence

import structlog

from odm_gateway.adapters.worker_process import WorkerJob, WorkerProcess, adopted
from odm_gateway.adapters.worker_start import COMMAND, start_waiting

PAUSE_S = 10.0
"""From the end of one spare worker, or of its job, to the next: whoever ends behind a job pays for none."""

log = structlog.get_logger()


class SpareWorker:
    """At most one worker that waits for a job, as long as ``keep`` runs."""

    def __init__(self, command: Sequence[str] = COMMAND, pause_s: float = PAUSE_S) -> None:
        self._command = command
        self._pause_s = pause_s
        self._waiting: WorkerProcess | None = None

    async def start(self) -> WorkerProcess:
        """Have a worker wait, if none does."""
        return self._waiting or await self.adopt(start_waiting(self._command))

    async def adopt(self, process: subprocess.Popen[bytes]) -> WorkerProcess:
        """Have ``process``, which somebody else started, be the worker that waits."""
        self._waiting = await adopted(process)
        return self._waiting

    async def keep(self) -> None:
        """Have a worker wait, and some time after its end another, for ever."""
        while True:
            worker = await self.start()
            try:
                code = await worker.exit_code()
                if self._waiting is worker:
                    log.warning("spare_worker.died", exit_code=code)
            finally:
                if self._waiting is worker:  # else it is its job's
                    await self.stop()
            await asyncio.sleep(self._pause_s)

    async def stop(self) -> None:
        """End the worker that waits, if one does."""
        worker, self._waiting = self._waiting, None
        if worker:
            await worker.stop()

    def take(self, job: WorkerJob) -> WorkerProcess | None:
        """Give ``job`` to the worker that waits, if one does; the caller has to stop it."""
        worker, self._waiting = self._waiting, None
        if worker is None or not worker.is_running:
            return None
        worker.give(job)
        return worker
