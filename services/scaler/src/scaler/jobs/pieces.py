"""The work itself: pieces of jobs, claimed under leases by any number of processes, image by image."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from structlog.contextvars import bound_contextvars

from scaler.domain.jobs import Image, Job, JobState
from scaler.domain.pieces import Outcome, Piece, PieceState
from scaler.jobs.scaling import ImageScaler
from shared.due import NEVER_S, delay_s
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.messaging.bus import Bus
from shared.messaging.progress import Progress
from shared.state import Between, Change, Collection, Document, LeaseLostError, Order, RevisionError, Where
from shared.state.work import WorkQueue, work_span

STAGE = "scaling"
PUT_OFF_S = 2.0
"""A piece whose job is being listed."""
ORPHANED_AFTER_S = 600.0
"""A piece of a listing that its job did not take up."""

log = structlog.get_logger()


class _StoppedError(Exception):
    """Somebody paused or canceled the job, or asked for it once more."""


@dataclass(slots=True)
class PieceLoop:
    """Claims pieces and scales their images."""

    jobs: Collection[Job]
    pieces: Collection[Piece]
    scaler: ImageScaler
    bus: Bus
    owner: str
    lease: timedelta
    at_once: int
    retry_after: tuple[timedelta, ...]
    """How long to wait after each failure that may pass."""
    look_at_jobs: Callable[[], None]
    _queue: WorkQueue[Piece] = field(init=False)

    def __post_init__(self) -> None:
        """Say which pieces wait, and in which order."""
        self._queue = WorkQueue(
            self.pieces,
            waiting=_due,
            order=Order("turn_s"),
            owner=self.owner,
            lease=self.lease,
            at_once=self.at_once,
            left_behind={"state": PieceState.OPEN.value},
        )

    def wake(self) -> None:
        """Look for work now instead of at the next poll."""
        self._queue.wake()

    async def run(self) -> None:
        """Work on whatever is due, for ever; first on what dead predecessors on this host left."""
        await self._queue.run(self._work)

    async def _work(self, document: Document[Piece]) -> None:
        piece = document.body
        job = await self.jobs.get(piece.job)
        flight_id = job.body.flight_id if job else ""
        with bound_contextvars(job=piece.job, flight_id=flight_id):
            if job is None or job.body.plan != piece.plan:
                await self._put_off(document, is_orphan=job is None)
            elif not _is_wanted(job.body, piece):
                await self.pieces.update(document.id, _parked, owner=self.owner)
            else:
                asked_in = [request.traceparent for request in job.body.requests]
                with work_span(self.pieces.spec.name, asked_in):
                    await self._scale_under_lease(document, job.body)

    async def _put_off(self, document: Document[Piece], *, is_orphan: bool) -> None:
        """Wait for the listing that the piece is of, or forget it."""
        now_s = time.time()
        if is_orphan or now_s - document.body.made_s > ORPHANED_AFTER_S:
            with suppress(NotFoundError, RevisionError):
                await self.pieces.delete(await self.pieces.load(document.id))
            return
        later = {"due_s": now_s + PUT_OFF_S}
        await self.pieces.update(
            document.id, lambda piece: Change(piece.model_copy(update=later), release=True), owner=self.owner
        )

    async def _scale_under_lease(self, document: Document[Piece], job: Job) -> None:
        try:
            document = await self._scale(document, job)
        except asyncio.CancelledError:  # told to stop: another process shall not wait for the lease
            with suppress(LeaseLostError, TransientError, NotFoundError):
                await asyncio.shield(self.pieces.release(document.id, owner=self.owner))
            raise
        except _StoppedError:
            document = await self.pieces.update(document.id, _parked, owner=self.owner)
        except NotFoundError:  # the job was listed anew, or swept
            log.info("piece.forgotten")
            return
        except TransientError as error:
            document = await self._interrupted(document, job, error)
        except PermanentError as error:
            document = await self._broken(document, str(error))
        except Exception as error:  # a bug must not keep the other jobs waiting
            log.exception("piece.broken")
            reason = f"internal error, please report it: {type(error).__name__}: {error}"
            document = await self._broken(document, reason)
        await self._tell_job(document.body)

    async def _scale(self, document: Document[Piece], job: Job) -> Document[Piece]:
        for image in document.body.left:
            outcome = await self.scaler.scale(document.body.job, job, image)
            document = await self.pieces.update(
                document.id, partial(self._with, job=job, image=image, outcome=outcome), owner=self.owner
            )
            if document.body.state is PieceState.OPEN:
                await self._check_still_wanted(document.body)
        if document.body.state is PieceState.OPEN:  # it had no images left
            document = await self.pieces.update(document.id, _settled, owner=self.owner)
        return document

    def _with(self, piece: Piece, *, job: Job, image: Image, outcome: Outcome) -> Change[Piece]:
        outcomes = (*(one for one in piece.outcomes if one.path != outcome.path), outcome)
        change = _settled(piece.model_copy(update={"outcomes": outcomes, "error": None}))
        return Change(change.body, self.scaler.told(job, image, outcome), release=change.release)

    async def _check_still_wanted(self, piece: Piece) -> None:
        job = await self.jobs.get(piece.job)
        if job is None or not _is_wanted(job.body, piece):
            raise _StoppedError

    async def _interrupted(
        self, document: Document[Piece], job: Job, error: TransientError
    ) -> Document[Piece]:
        log.warning("piece.interrupted", error=str(error), attempt=document.body.attempt + 1)
        await self._tell(document.body, job, f"interrupted: {error}")
        later = partial(_postponed, error=error, ladder=self.retry_after)
        return await self.pieces.update(document.id, later, owner=self.owner)

    async def _broken(self, document: Document[Piece], error: str) -> Document[Piece]:
        def broken(piece: Piece) -> Change[Piece]:
            update = {"state": PieceState.FAILED, "error": error}
            return Change(piece.model_copy(update=update), release=True)

        return await self.pieces.update(document.id, broken, owner=self.owner)

    async def _tell_job(self, piece: Piece) -> None:
        """Let the job know that a piece is over; whoever is late for that changes nothing that lasts."""
        if piece.state is PieceState.OPEN:
            return
        with suppress(NotFoundError):
            job = (await self.jobs.update(piece.job, partial(_after, piece=piece))).body
            await self._tell(piece, job)
            if job.due_s <= time.time():
                self.look_at_jobs()

    async def _tell(self, piece: Piece, job: Job, message: str | None = None) -> None:
        amounts = job.amounts
        progress = Progress(
            flight_id=job.flight_id or piece.job,
            stage=STAGE,
            done=min(amounts.images_done, amounts.images_total),
            total=amounts.images_total,
            bytes=amounts.bytes_done,
            message=message,
        )
        await self.bus.progress(progress)


def _is_wanted(job: Job, piece: Piece) -> bool:
    """Return whether to go on; not while the job is listed anew, for images may have been replaced."""
    return job.state is JobState.SCALING and job.is_listed and job.plan == piece.plan


def _settled(piece: Piece) -> Change[Piece]:
    is_done = not piece.left
    state = PieceState.DONE if is_done else piece.state
    return Change(piece.model_copy(update={"state": state}), release=is_done)


def _parked(piece: Piece) -> Change[Piece]:
    """Return the piece as waiting for its job to go on."""
    return Change(piece.model_copy(update={"due_s": NEVER_S}), release=True)


def _postponed(piece: Piece, *, error: TransientError, ladder: Sequence[timedelta]) -> Change[Piece]:
    """Return the piece as due again later, or as failed if it was tried often enough."""
    attempt = piece.attempt + 1
    wait_s = delay_s(attempt, ladder)
    if wait_s is None:
        update = {"state": PieceState.FAILED, "error": f"{error} (given up after {attempt} attempts)"}
        return Change(piece.model_copy(update=update), release=True)
    wait_s = max(wait_s, error.retry_after.total_seconds() if error.retry_after else 0.0)
    later = {"attempt": attempt, "due_s": time.time() + wait_s, "error": str(error)}
    return Change(piece.model_copy(update=later), release=True)


def _after(job: Job, *, piece: Piece) -> Job | None:
    """Return the job with a piece that is over; at the last one, or one that failed, it is looked at."""
    if job.state is not JobState.SCALING or job.plan != piece.plan:
        return None
    amounts = job.amounts.plus(piece.amounts) if piece.state is PieceState.DONE else job.amounts
    is_over = piece.state is PieceState.FAILED or amounts.images_done >= amounts.images_total
    update = {"amounts": amounts, "updated_at": datetime.now(UTC)}
    return job.model_copy(update={**update, "due_s": time.time()} if is_over else update)


async def _due() -> Sequence[Where]:
    """Return which pieces are to be worked on now."""
    return [{"state": PieceState.OPEN.value, "due_s": Between(high=time.time())}]
