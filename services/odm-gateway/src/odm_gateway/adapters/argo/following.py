"""Tells what becomes of a job: its console and progress from the object store, its end from the cluster."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from odm_gateway.adapters.argo.clusters import Cluster
from odm_gateway.adapters.argo.job_objects import JobObjects
from odm_gateway.adapters.argo.kubernetes import WORKFLOWS, ForbiddenError, Manifest
from odm_gateway.adapters.argo.outcome import (
    ODM_STEP,
    PENDING,
    RUNNING,
    SUCCEEDED,
    Status,
    details,
    status_of,
    why_failed,
)
from odm_gateway.adapters.argo.pod_spans import tell_of_pods
from odm_gateway.adapters.argo.submitting import Submitter
from odm_gateway.ports import Completed, EngineEvent, Failed, Line, Progressed
from shared.errors import TransientError

PUBLISHED_PERCENT = 97.0
"""ODM and its archive are behind it, the upload is not."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a follower looks, and for how long it waits for what."""

    poll: timedelta = timedelta(seconds=3)
    poll_at_most: timedelta = timedelta(seconds=10)
    """Where nothing is heard."""
    look: tuple[timedelta, timedelta] = (timedelta(seconds=30), timedelta(seconds=60))
    """Asks for the workflow at least so often, should its watch have missed something."""
    settle: timedelta = timedelta(seconds=1)
    """Changes come in bursts: a workflow that runs is not asked for again so soon; one that ended is."""
    backoff_at_most: timedelta = timedelta(seconds=30)
    away: timedelta = timedelta(minutes=30)
    """For a cluster to take the job, while none can be reached; what is on its way is waited for longer."""
    stuck_after: timedelta = timedelta(hours=2)
    trouble: timedelta = timedelta(minutes=10)
    """A container that cannot start may be mended meanwhile."""
    no_room: timedelta = timedelta(hours=6)
    """For a node that the job fits on, or for its namespace's quota."""
    result: timedelta = timedelta(seconds=60)
    """A result may be a little late, not more."""


@dataclass(slots=True)
class Following:
    """A job being followed."""

    at: JobObjects
    submitter: Submitter
    patience: Patience
    cluster: Cluster
    workflow: Manifest | None
    _after: str | None = None
    _lines: int = 0
    _stage: tuple[str, float] = ("", 0.0)
    _alive: object = None
    _alive_at_s: float = field(default_factory=time.monotonic)
    _trouble: str | None = None
    _trouble_since_s: float = 0.0
    _ended_at_s: float | None = None
    _looked_at_s: float = field(default_factory=time.monotonic)
    _look_at_s: float = 0.0
    _pause_s: float = 0.0

    async def events(self) -> AsyncGenerator[EngineEvent, None]:
        """Yield all there is to hear, from the job's beginning to its end.

        What fails on the way and may pass is tried again in place: what was told is not told twice.
        """
        failures = 0
        with self.cluster.reflector.changes(self.at.job.name) as changed:
            while True:
                try:
                    async with aclosing(self._console()) as heard:
                        async for event in heard:
                            yield event
                    for event in await self._verdict():
                        if isinstance(event, Completed | Failed):
                            tell_of_pods(self._status)
                        yield event
                        if isinstance(event, Completed | Failed):
                            return
                    failures = 0
                except (TransientError, ForbiddenError) as error:
                    failures += 1
                    log.warning("job.out_of_sight", job=self.at.job.name, error=str(error))
                    if self._is_stuck():
                        yield Failed(f"Nothing was heard of the job for too long: {error}")
                        return
                await self._pause(changed, failures)

    @property
    def _status(self) -> Status:
        return status_of(self.workflow or {})

    async def _console(self) -> AsyncGenerator[EngineEvent, None]:
        if self.workflow is not None and self._status.phase in PENDING:
            return
        for key in await self.at.chunk_keys(self._after):
            chunk = await self.at.chunk(key)
            self._after, self._pause_s = key, 0.0
            self._note_life(key)
            if chunk is None:
                continue
            for line in chunk.lines[max(0, self._lines - chunk.first_line) :]:
                yield Line(line)
            self._lines = max(self._lines, chunk.first_line + len(chunk.lines))
            self._stage = (chunk.stage or self._stage[0], max(self._stage[1], chunk.percent))
            yield Progressed(*self._stage)

    async def _verdict(self) -> list[EngineEvent]:
        """Return what the workflow itself tells; its outcome comes last."""
        status, told = self._status, list[EngineEvent]()
        if (stage := _stage_of(status, self._stage)) != self._stage:
            self._stage = stage
            told.append(Progressed(*stage))
        if self.workflow is None or status.phase == SUCCEEDED:
            return told + await self._success()
        if status.has_ended:
            failure = await self.at.failure()
            lines = [Line(line) for line in details(status, failure)]
            return [*told, *lines, Failed(why_failed(status, failure))]
        return told + await self._patience_with(status)

    async def _success(self) -> list[EngineEvent]:
        """Return the products once they are known to be there; they may be later than the workflow's end."""
        result = await self.at.result()
        missing = await self.at.missing(result) if result else []
        if result and not missing:
            return [Completed(result.assets, result.summary)]
        self._ended_at_s = self._ended_at_s or time.monotonic()
        if time.monotonic() - self._ended_at_s < self.patience.result.total_seconds():
            return []
        lost = f"product {missing[0]}" if missing else "result"
        return [Failed(f"The workflow succeeded, but its {lost} is missing.")]

    async def _patience_with(self, status: Status) -> list[EngineEvent]:
        """Return what keeps the job from going on, and its end, having stopped it, if that takes too long."""
        trouble = status.cannot_start or status.has_no_room
        told: list[EngineEvent] = [Line(trouble)] if trouble and not self._trouble else []
        reason = self._lasting(trouble, is_fault=status.cannot_start is not None)
        if trouble is None and status.phase == RUNNING and self._is_stuck():
            idle_h = self.patience.stuck_after.total_seconds() / 3600
            reason = f"The workflow is stuck: nothing moved for {idle_h:g} hours."
        if reason is None:
            return told
        log.warning("job.given_up", job=self.at.job.name, reason=reason)
        await stop(self.cluster, self.at.job.name, status)
        return [*told, Failed(reason)]

    def _lasting(self, trouble: str | None, *, is_fault: bool) -> str | None:
        """Return ``trouble`` if it lasts for too long; what it says may change meanwhile."""
        if (trouble is None) != (self._trouble is None):
            self._trouble_since_s = time.monotonic()
        self._trouble = trouble
        patience = self.patience.trouble if is_fault else self.patience.no_room
        lasted_s = time.monotonic() - self._trouble_since_s
        return trouble if lasted_s > patience.total_seconds() else None

    def _note_life(self, sign: object) -> None:
        if sign != self._alive:
            self._alive, self._alive_at_s = sign, time.monotonic()

    def _is_stuck(self) -> bool:
        return time.monotonic() - self._alive_at_s > self.patience.stuck_after.total_seconds()

    async def _pause(self, changed: asyncio.Event, failures: int) -> None:
        """Wait until there may be something new, and look at the workflow if it changed or it is time."""
        patience, pause_s = self.patience, jitter(self.patience.backoff_at_most.total_seconds(), failures)
        if not failures:
            pause_s = self._pause_s = min(
                patience.poll_at_most.total_seconds(), max(patience.poll.total_seconds(), self._pause_s * 1.5)
            )
        is_changed = await self._has_changed(changed, pause_s)
        if self._ended_at_s is None and (is_changed or time.monotonic() >= self._look_at_s):
            await self._look()

    async def _has_changed(self, changed: asyncio.Event, within_s: float) -> bool:
        """Return whether the workflow changed, as soon as that is worth a look."""
        await _set_within(changed, within_s)
        if not changed.is_set():
            return False
        settled_at_s = self._looked_at_s + self.patience.settle.total_seconds()
        while (left_s := settled_at_s - time.monotonic()) > 0 and self.cluster.reflector.is_open(
            self.at.job.name
        ):
            changed.clear()
            await _set_within(changed, left_s)
        changed.clear()  # before looking: what changes meanwhile is looked at the next time
        return True

    async def _look(self) -> None:
        least, most = self.patience.look
        self._looked_at_s = time.monotonic()
        self._look_at_s = self._looked_at_s + random.uniform(least.total_seconds(), most.total_seconds())  # noqa: S311
        try:
            found = await self.cluster.kubernetes.get(WORKFLOWS, self.at.job.name)
            if found is None:
                log.warning("workflow.vanished", job=self.at.job.name)
                found = (await self.submitter.ensure(self.at)).workflow
        except (TransientError, ForbiddenError) as error:
            log.warning("cluster.unavailable", cluster=self.cluster.name, error=str(error))
            self._look_at_s = time.monotonic() + jitter(self.patience.backoff_at_most.total_seconds(), 1)
            return
        self.workflow = found
        status = status_of(found or {})
        self._note_life((status.phase, status.nodes))


async def stop(cluster: Cluster, name: str, status: Status) -> None:
    """End a workflow: one that waits to be let in listens to ``Terminate`` only."""
    how = "Terminate" if status.phase in PENDING else "Stop"
    await cluster.kubernetes.merge(WORKFLOWS, name, {"spec": {"shutdown": how}})


async def _set_within(event: asyncio.Event, within_s: float) -> None:
    """Return once the event is set, or is not for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()


def _stage_of(status: Status, before: tuple[str, float]) -> tuple[str, float]:
    """Return the stage and percent, as far as the workflow itself knows them."""
    step = status.step
    if not step or step == ODM_STEP:
        return before
    return step, max(before[1], PUBLISHED_PERCENT if step == "publish" else 0.0)


def jitter(most_s: float, failures: int) -> float:
    """Return for how long to wait after so many failures in a row."""
    return random.uniform(0, min(most_s, 2.0 ** min(failures, 10)))  # noqa: S311 - it spreads load
