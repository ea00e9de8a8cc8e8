"""Sends a job to a cluster, however long it takes for one to have room, or to answer at all."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import structlog

from odm_gateway.adapters.argo.clusters import NoRoomError
from odm_gateway.adapters.argo.following import Patience, jitter
from odm_gateway.adapters.argo.job_objects import JobObjects
from odm_gateway.adapters.argo.kubernetes import QuotaError
from odm_gateway.adapters.argo.submitting import Submitted, Submitter
from odm_gateway.ports import Line
from shared.errors import PermanentError, TransientError

log = structlog.get_logger()


@dataclass(slots=True)
class Sending:
    """A job on its way to a cluster."""

    at: JobObjects
    submitter: Submitter
    patience: Patience
    _refused_since_s: float | None = None
    _away_since_s: float | None = None

    async def events(self) -> AsyncGenerator[Line | Submitted, None]:
        """Yield where the job runs, and before that, once each, what it has to wait for.

        Raises:
            PermanentError: It cannot be sent.
            TransientError: No cluster answered for too long.
        """
        told, failures = set[str](), 0
        while True:
            try:
                yield await self.submitter.ensure(self.at)
            except TransientError as error:
                failures += 1
                self._check_patience(error)
                log.warning("job.waits", job=self.at.job.name, error=str(error))
                if str(error) not in told:
                    told.add(str(error))
                    yield Line(f"The job waits to be sent: {error}")
                await self._pause(error, failures)
            else:
                return

    async def _pause(self, error: TransientError, failures: int) -> None:
        if not isinstance(error, NoRoomError):
            await asyncio.sleep(jitter(self.patience.backoff_at_most.total_seconds(), failures))
            return
        while not self._has_room(error):  # noqa: ASYNC110 - many clusters' watches may change that
            await asyncio.sleep(self.patience.poll.total_seconds() * random.uniform(0.5, 1))  # noqa: S311

    def _has_room(self, error: NoRoomError) -> bool:
        clusters, is_submodel = self.submitter.clusters, self.at.job.is_submodel
        return any(clusters.has_room(cluster, is_submodel=is_submodel) for cluster in error.clusters)

    def _check_patience(self, error: TransientError) -> None:
        """Raise unless the job can wait for longer; it can always for those that come before it to end."""
        now_s = time.monotonic()
        if isinstance(error, QuotaError):
            self._refused_since_s = self._refused_since_s or now_s
            if now_s - self._refused_since_s > self.patience.no_room.total_seconds():
                raise PermanentError(f"The cluster has no room for the job: {error}")
        if isinstance(error, QuotaError | NoRoomError):
            self._away_since_s = None
            return
        self._away_since_s = self._away_since_s or now_s
        if now_s - self._away_since_s >= self.patience.away.total_seconds():
            raise error
