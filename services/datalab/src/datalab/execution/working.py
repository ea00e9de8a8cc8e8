"""Workers: computations are claimed under leases by any number of processes, and computed in others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from uuid import uuid4

import structlog
from structlog.contextvars import bound_contextvars

from datalab.clock import now_us
from datalab.domain.asked import State
from datalab.domain.computations import (
    Computation,
    Outcome,
    begun,
    completed,
    crashed,
    delayed,
    exhausted,
    failed,
    given_back,
    progressed,
)
from datalab.execution.computing import Computing
from datalab.execution.events import ComputationAsked
from datalab.execution.finishing import Finishing
from datalab.execution.line import BY_TURN, WAITING
from datalab.execution.processes import BrokenError, CrashedError, TooSlowError
from datalab.execution.wanting import called_again
from datalab.metrics import COMPUTATION_SECONDS, COMPUTATIONS
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.events import Event
from shared.state import Change, Collection, Document, LeaseLostError, Where
from shared.state.work import WorkQueue

WATCH_EVERY_S = 1.0
WAKE_AT_MOST_S = 60.0
DEATHS_AT_MOST = 10
"""Workers that may end over one computation: one that eats a machine's memory takes its worker along."""
PATIENCE_S = 1_200.0
"""How long a call for workers waits for a free one, before it goes around; RabbitMQ allows half an hour."""

Step = Callable[[Computation], Computation | None]

log = structlog.get_logger(__name__)


class _UnwantedError(Exception):
    """Nobody waits for the computation any more, or another works on it."""


@dataclass(slots=True)
class Working:
    """Computes what waits, some at a time; users take turns."""

    computations: Collection[Computation]
    computing: Computing
    finishing: Finishing
    owner: str
    lease: timedelta
    slots: int
    crashes_at_most: int
    retry_after: Sequence[timedelta]
    """How long to wait after each failure that may pass."""
    grace_s: float
    _queue: WorkQueue[Computation] = field(init=False)
    _busy: int = 0
    _freed: asyncio.Event = field(default_factory=asyncio.Event)
    _ends: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Say which computations wait, and in which order."""
        self._queue = WorkQueue(
            self.computations,
            waiting=self._due,
            order=BY_TURN,
            owner=self.owner,
            lease=self.lease,
            at_once=self.slots,
            left_behind={"state": State.IN_PROGRESS.value},
            in_hand=self._in_hand,
            asked_in=lambda one: [one.traceparent],
        )

    def wake(self) -> None:
        """Look for work now instead of at the next poll."""
        self._queue.wake()

    async def run(self) -> None:
        """Compute whatever waits, for ever; first what dead predecessors on this host left."""
        await self._queue.run(self._work)

    async def heed(self, event: Event[ComputationAsked]) -> None:
        """Take a call when there is room for it: until then it counts as waiting, which adds workers.

        A call that waited in vain is called out anew, for another worker.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self._busy >= self.slots and not self._ends.is_set():
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            log.info("call.passed_on", busy=self._busy)
        if self._busy >= self.slots or self._ends.is_set():
            with suppress(NotFoundError):
                await self.computations.update(event.data.key, called_again)
        else:  # which one is claimed is the queue's choice
            self._queue.wake()

    async def drain(self) -> None:
        """Take up nothing more, and finish what ends within the grace period; the rest is given back."""
        self._ends.set()
        self._freed.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.grace_s):
                while self._busy:
                    self._freed.clear()
                    await self._freed.wait()

    async def _due(self) -> Sequence[Where]:
        if self._ends.is_set():
            return []
        return [WAITING]

    @contextmanager
    def _in_hand(self, _: object) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._freed.set()

    async def _work(self, document: Document[Computation]) -> None:
        one = document.body
        with bound_contextvars(computation=one.key, operation=one.operation, session=one.session):
            document = await self.computations.update(
                document.id, partial(begun, now_us=now_us(), attempt=uuid4().hex[:12]), owner=self.owner
            )
            if document.body.is_open:
                await self._work_on(document.body)
            else:  # cancelled just now
                await self.computations.release(document.id, owner=self.owner)

    async def _work_on(self, one: Computation) -> None:
        try:
            step = await self._step(one)
        except asyncio.CancelledError:  # told to stop: another process shall not wait for the lease
            with suppress(LeaseLostError, TransientError, NotFoundError):
                await asyncio.shield(self._end(one.key, given_back))
            raise
        except _UnwantedError:
            log.info("computation.unwanted")
            with suppress(NotFoundError):
                await self.computations.release(one.key, owner=self.owner)
            self.wake()
            return
        ended = (await self._end(one.key, step)).body
        if not ended.state.is_final:
            self._line_up_at(ended.due_s)
        else:
            took_s = (ended.ended_us - ended.started_us) / 1e6
            COMPUTATIONS.labels(ended.name, ended.state.value.lower()).inc()
            COMPUTATION_SECONDS.labels(ended.name).observe(max(0.0, took_s))
            log.info("computation.ended", state=ended.state.value, error=ended.message, took_s=took_s)
            await self.finishing.finish(one.key)

    def _line_up_at(self, due_s: float) -> None:
        """Look when something is due that is tried again: polls come a second late."""
        wait_s = min(max(0.0, due_s - time.time()), WAKE_AT_MOST_S)
        asyncio.get_running_loop().call_later(wait_s, self.finishing.wake)

    async def _end(self, key: str, step: Step) -> Document[Computation]:
        """Do the last step under the lease, which is given back with it."""

        def change(old: Computation) -> Change[Computation]:
            return Change(step(old) or old, release=True)

        return await self.computations.update(key, change, owner=self.owner)

    async def _step(self, one: Computation) -> Step:
        """Compute, and return what becomes of the computation."""
        if (reason := exhausted(one, DEATHS_AT_MOST)) is not None:
            return partial(failed, message=reason, now_us=now_us())
        try:
            outcome = await self._while_wanted(one)
        except _UnwantedError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not keep the others waiting
            return self._setback(one, error)
        return partial(completed, outcome=outcome, now_us=now_us())

    def _setback(self, one: Computation, error: Exception) -> Step:
        """Return what becomes of a computation that did not succeed."""
        why, now = str(error), now_us()
        match error:
            case TransientError():
                log.warning("computation.delayed", error=why, delays=one.delays + 1)
                step: Step = partial(
                    delayed, why=why, now_us=now, ladder=self.retry_after, at_least=error.retry_after
                )
            case CrashedError():
                log.warning("computation.crashed", error=why, crashes=one.crashes + 1)
                step = partial(crashed, why=why, now_us=now, at_most=self.crashes_at_most)
            case BrokenError() | TooSlowError():
                step = partial(failed, message=f"{one.name} could not be computed: {why}", now_us=now)
            case PermanentError():
                step = partial(failed, message=why, now_us=now)
            case _:
                log.error("computation.broken", exc_info=error)
                message = f"internal error, please report it: {type(error).__name__}: {why}"
                step = partial(failed, message=message, now_us=now)
        return step

    async def _while_wanted(self, one: Computation) -> Outcome:
        """Compute until that is done, or not wanted any more."""
        progress = _Progress(one.progress)
        work = asyncio.create_task(self.computing.compute(one, progress.tell), name=f"compute {one.key}")
        watch = asyncio.create_task(self._watch(one.key, progress), name=f"watch {one.key}")
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            watch.result()
            raise _UnwantedError
        finally:
            await _ended(work, watch)

    async def _watch(self, key: str, progress: _Progress) -> None:
        """Write down how far it is, at most once a second; return when it is not ours to go on with."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            try:
                document = await self.computations.get(key)
                if document is None or document.body.state is not State.IN_PROGRESS:
                    return
                if progress.done > document.body.progress:
                    await self.computations.update(
                        key, partial(progressed, done=progress.done), owner=self.owner
                    )
            except (NotFoundError, LeaseLostError):
                return
            except TransientError as error:  # the lease lapses if this lasts
                log.warning("state.unavailable", error=str(error))


@dataclass(slots=True)
class _Progress:
    done: float

    def tell(self, done: float) -> None:
        self.done = max(self.done, done)


async def _ended(*tasks: asyncio.Task[object]) -> None:
    """Cancel tasks and wait for their end, even where we are cancelled once more meanwhile."""
    for task in tasks:
        task.cancel()
    await asyncio.shield(asyncio.gather(*tasks, return_exceptions=True))
