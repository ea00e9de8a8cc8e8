"""Computations in nobody's hands: what is to be tried again lines up; of what has ended operations hear.

Results that nobody points to go in time, and what attempts left that came to nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from datalab.collections import OPERATIONS
from datalab.domain.asked import FINAL, State
from datalab.domain.computations import Computation, kept, lined_up, swept, told, unwanted
from datalab.execution.events import CALLS
from datalab.execution.line import WAITING, Line
from datalab.execution.storing import Storing
from datalab.execution.wanting import Wanting, called_again
from datalab.metrics import WAITING as WAITING_COMPUTATIONS
from shared.errors import NotFoundError, TransientError
from shared.messaging.port import Transport
from shared.rhythm import until_next_s
from shared.state import Between, Change, Document, LeaseLostError, OneOf, Order, RevisionError, Where
from shared.state.work import WorkQueue

AT_ONCE = 4
ENDED = OneOf(tuple(state.value for state in FINAL))
LOOK_AT_LEAST = timedelta(seconds=1)
LOOK_AT_MOST = timedelta(days=1)
"""How long a computation is left alone whose operations are there."""
SWEEP_AFTER = 2
"""Leases."""
COUNT_EVERY_S = 60.0
AGAIN_S = 10.0
"""When to look once more at what was asked for while it was about to go."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Finishing:
    """Looks after computations in nobody's hands; any number of processes may."""

    wanting: Wanting
    line: Line
    storing: Storing
    transport: Transport
    owner: str
    lease: timedelta
    keep: timedelta
    """How long results stay that no operation points to."""
    call_after_s: float = 30.0
    """What waits for so long is called out again: a call may have been taken by a worker that ended."""
    call_every_s: float = 10.0
    _queue: WorkQueue[Computation] = field(init=False)

    def __post_init__(self) -> None:
        """Say which computations wait to be looked at: few but those that are due."""
        self._queue = WorkQueue(
            self.wanting.computations,
            waiting=_due,
            order=Order("due_s"),
            owner=self.owner,
            lease=self.lease,
            at_once=AT_ONCE,
            left_behind={"state": ENDED, "due_s": Between(high=time.time())},
            asked_in=lambda one: [one.traceparent],
        )

    def wake(self) -> None:
        """Look for what is due now instead of at the next poll."""
        self._queue.wake()

    async def run(self) -> None:
        """Look after whatever is due, for ever."""
        await self._queue.run(self._look)

    async def call_again(self) -> None:
        """Call workers to what has waited for a while and is in nobody's hands, for ever."""
        while True:
            try:
                await self._call_waiting()
                await self.wanting.operations.store.purge_expired(OPERATIONS.name, datetime.now(UTC))
            except TransientError as error:
                log.warning("state.unavailable", error=str(error))
            await asyncio.sleep(self.call_every_s)

    async def count(self) -> None:
        """Count what waits, for ever."""
        while True:
            try:
                WAITING_COMPUTATIONS.set(await self.wanting.computations.count(WAITING))
            except TransientError as error:
                log.debug("computations.not_counted", error=str(error))
            await asyncio.sleep(until_next_s(COUNT_EVERY_S))

    async def finish(self, key: str) -> None:
        """Tell the operations of a computation how it ended; again from anywhere."""
        try:
            document = await self.wanting.computations.load(key)
            if document.body.is_open or document.body.is_told:
                return
            await self.wanting.settle(document.body)
            is_littered = document.body.is_littered
            look_s = (
                min(self._later_s(), time.time() + self._sweep_after_s) if is_littered else self._later_s()
            )
            telling = partial(_told, of=document.body, look_s=look_s)
            await self.wanting.computations.update(key, telling)
        except NotFoundError:
            return
        except TransientError as error:  # it stays due
            log.warning("operations.told_later", key=key, error=str(error))

    async def _look(self, document: Document[Computation]) -> None:
        try:
            if document.body.is_open:
                await self._line_up(document.body)
            elif not document.body.is_told:
                await self.finish(document.id)
            elif document.body.is_littered and not await self._is_swept(document.id):
                await self._look_again(document.id, time.time() + self._sweep_after_s)
            elif await self.wanting.has_operations(document.id):
                await self._look_again(document.id, self._later_s())
            else:
                await self._expire(document.id)
        finally:
            await self._let_go(document.id)
        self.wanting.wake()

    async def _line_up(self, one: Computation) -> None:
        """Have it wait for a worker again: its time has come, or its worker is gone."""
        turn = one.turn or await self.line.next_turn(one.asked_by)

        def change(old: Computation) -> Change[Computation] | None:
            again = lined_up(old, turn)
            return called_again(again) if again else None

        await self.wanting.computations.update(one.key, change, owner=self.owner)

    async def _look_again(self, key: str, look_s: float) -> None:
        await self.wanting.computations.update(key, partial(kept, look_s=look_s))

    async def _is_swept(self, key: str) -> bool:
        """Delete what attempts left that came to nothing; return whether that is all of it.

        A worker that was killed may have had something on its way; where something was found, it is looked
        once more.
        """
        if many := await self.storing.sweep(self.wanting.computations, key):
            log.info("results.swept", key=key, objects=many)
            return False
        await self.wanting.computations.update(key, swept)
        return True

    @property
    def _sweep_after_s(self) -> float:
        """Return after how long no worker stores anything that has lost its lease."""
        return SWEEP_AFTER * self.lease.total_seconds()

    def _later_s(self) -> float:
        """Return when to look whether operations still point to results."""
        return time.time() + max(LOOK_AT_LEAST, min(self.keep, LOOK_AT_MOST)).total_seconds()

    async def _expire(self, key: str) -> None:
        """Delete what nobody has pointed to for long enough.

        Who asks for it meanwhile finds that it is expiring and opens it anew, or is seen here.
        """
        computations = self.wanting.computations
        document = await computations.update(key, lambda old: unwanted(old, time.time(), self.keep))
        if not document.body.is_expiring:
            return
        if await self.wanting.has_operations(key):
            await self._look_again(key, time.time() + AGAIN_S)
            return
        await self.storing.sweep(computations, key)
        document = await computations.load(key)
        if document.body.is_expiring and not document.body.is_open:
            try:
                await computations.delete(document)
            except RevisionError:  # asked for again meanwhile
                return
            log.info("results.expired", key=key)

    async def _let_go(self, key: str) -> None:
        try:
            await self.wanting.computations.release(key, owner=self.owner)
        except (NotFoundError, LeaseLostError):
            return

    async def _call_waiting(self) -> None:
        """Call once where no call is in the queue: one is enough to have a worker look at all that waits."""
        if await self.transport.depth(CALLS.queue):
            return
        long_ago = Between(high=time.time() - self.call_after_s)
        now = datetime.now(UTC)
        async for document in self.wanting.computations.each(
            {**WAITING, "called_s": long_ago}, order=Order("called_s")
        ):
            lease = document.record.lease
            if lease is None or lease.until < now:
                await self.wanting.computations.update(document.id, called_again)
                return


def _told(computation: Computation, *, of: Computation, look_s: float) -> Computation | None:
    """Note that its operations know; not where it began anew, or ended otherwise, meanwhile."""
    is_same = (computation.state, computation.ended_us) == (of.state, of.ended_us)
    return told(computation, look_s) if is_same else None


async def _due() -> Sequence[Where]:
    is_due = Between(high=time.time())
    return [{"state": State.IN_PROGRESS.value, "due_s": is_due}, {"state": ENDED, "due_s": is_due}]
