"""What happens to a job as a whole: it is listed and cut into pieces, looked at, finished, or swept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import structlog
from structlog.contextvars import bound_contextvars

from scaler.domain.jobs import Amounts, Job, JobState, is_to_be_swept
from scaler.domain.pieces import Outcome, Piece, PieceState, reopened
from scaler.jobs.finishing import Finisher
from scaler.jobs.planning import Planner
from scaler.jobs.sweeping import BusyError, forget_pieces, sweep
from scaler.jobs.telling import at_rest, busy, failed, finished, looked_at, planned, postponed, relisted
from shared.due import NEVER_S
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.objects.port import ObjectStore
from shared.state import Change, Collection, Document, LeaseLostError, Order, Where
from shared.state.work import WorkQueue, due_queue

JOBS_AT_ONCE = 4
"""None of them waits for an image."""

Step = Callable[[Job], Change[Job]]

log = structlog.get_logger()


@dataclass(slots=True)
class _Seen:
    """What the pieces of a job are like."""

    amounts: Amounts
    open_count: int = 0
    error: str | None = None
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(slots=True)
class JobLoop:
    """Claims jobs that are due; any number of processes may run it."""

    jobs: Collection[Job]
    pieces: Collection[Piece]
    objects: ObjectStore
    planner: Planner
    finisher: Finisher
    owner: str
    lease: timedelta
    retry_after: tuple[timedelta, ...]
    keep: timedelta
    """How long the result of a single image is kept."""
    look_at_pieces: Callable[[], None]
    _queue: WorkQueue[Job] = field(init=False)

    def __post_init__(self) -> None:
        """Say which jobs wait: those whose time has come."""
        self._queue = due_queue(
            self.jobs,
            at_once=JOBS_AT_ONCE,
            lease=self.lease,
            asked_in=lambda job: [request.traceparent for request in job.requests],
        )

    def wake(self) -> None:
        """Look for jobs now instead of at the next poll."""
        self._queue.wake()

    async def run(self) -> None:
        """Bring on whatever is due, for ever; first what dead predecessors on this host left."""
        await self._queue.run(self._work)

    async def _work(self, document: Document[Job]) -> None:
        with bound_contextvars(job=document.id, flight_id=document.body.flight_id):
            try:
                step = await self._step(document.id, document.body)
            except asyncio.CancelledError:  # told to stop: another process shall not wait for the lease
                with suppress(LeaseLostError, TransientError, NotFoundError):
                    await asyncio.shield(self.jobs.release(document.id, owner=self.owner))
                raise
            await self.jobs.update(document.id, step, owner=self.owner)
            self.look_at_pieces()
            self._queue.wake()

    async def _step(self, job_id: str, job: Job) -> Step:
        try:
            if job.state is JobState.SCALING:
                return await self._brought_on(job_id, job)
            if is_to_be_swept(job):
                await sweep(job_id, job, self.objects, self.pieces)
        except BusyError:
            return busy
        except TransientError as error:
            log.warning("job.interrupted", error=str(error), attempt=job.attempt + 1)
            return partial(
                postponed,
                error=str(error),
                ladder=self.retry_after,
                keep=self.keep,
                at_least=error.retry_after,
            )
        except PermanentError as error:
            log.warning("job.failed", error=str(error))
            return partial(failed, error=str(error), keep=self.keep)
        except Exception as error:  # a bug must not keep the other jobs waiting
            log.exception("job.broken")
            reason = f"internal error, please report it: {type(error).__name__}: {error}"
            return partial(failed, error=reason, keep=self.keep)
        return at_rest

    async def _brought_on(self, job_id: str, job: Job) -> Step:
        if not job.is_listed or not job.plan:
            return await self._planned(job_id, job)
        seen = await self._look(job_id, job)
        if seen.error is not None and not job.reopens:
            return partial(failed, error=seen.error, keep=self.keep)
        if seen.open_count:
            return partial(looked_at, amounts=seen.amounts, reopened=job.reopens)
        return await self._finished(job_id, job, seen)

    async def _planned(self, job_id: str, job: Job) -> Step:
        listed = await self.planner.listed(job)
        amounts = await self.planner.plan(job_id, job, listed)
        await forget_pieces(job_id, self.pieces, but=listed.plan)
        log.info("job.planned", images=amounts.images_total, known=amounts.images_done)
        return partial(planned, plan=listed.plan, listed=len(job.requests), amounts=amounts)

    async def _look(self, job_id: str, job: Job) -> _Seen:
        """Count what is done, and have pieces worked on that wait although nobody wants them to."""
        seen = _Seen(Amounts(images_total=job.amounts.images_total, bytes_total=job.amounts.bytes_total))
        of_plan: Where = {"job": job_id, "plan": job.plan}
        async for document in self.pieces.each(of_plan, order=Order("number")):
            piece = document.body
            if piece.state is not PieceState.DONE and (job.reopens or piece.due_s >= NEVER_S):
                piece = (await self.pieces.update(document.id, reopened)).body
            if piece.state is PieceState.DONE:
                seen.amounts = seen.amounts.plus(piece.amounts)
                seen.outcomes += piece.outcomes
            elif piece.state is PieceState.FAILED:
                seen.error = seen.error or piece.error
            else:
                seen.open_count += 1
        return seen

    async def _finished(self, job_id: str, job: Job, seen: _Seen) -> Step:
        listed = await self.planner.listed(job)
        if listed.plan != job.plan:  # replaced while it was worked on
            return relisted
        result = await self.finisher.finish(job_id, job, listed, seen.outcomes)
        log.info("job.finished", images=result.image_count, rejected=result.rejected_count)
        return partial(
            finished, result=result, amounts=seen.amounts, keep=self.keep, requests=len(job.requests)
        )
