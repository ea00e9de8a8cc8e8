"""Behind the end of computations: operations hear of it, and results that nobody points to go in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from datalab.collections import OPERATIONS
from datalab.domain.asked import FINAL
from datalab.domain.computations import Computation, kept, told, unwanted
from datalab.execution.events import CALLS
from datalab.execution.storing import Storing
from datalab.execution.wanting import UNFINISHED_STATES, Wanting, called_again
from shared.errors import NotFoundError, TransientError
from shared.messaging.port import Transport
from shared.state import Between, Document, LeaseLostError, OneOf, Order, RevisionError, Where
from shared.state.work import WorkQueue

AT_ONCE = 4
LOOK_AT_LEAST = timedelta(seconds=1)
LOOK_AT_MOST = timedelta(days=1)
"""How long a computation is left alone whose operations are there."""
AGAIN_S = 10.0
"""When to look once more at what was asked for while it was about to go."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Finishing:
    """Looks after computations that have ended; any number of processes may."""

    wanting: Wanting
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
        """Say which computations wait to be looked at."""
        self._queue = WorkQueue(
            self.wanting.computations,
            waiting=_due,
            order=Order("due_s"),
            owner=self.owner,
            lease=self.lease,
            at_once=AT_ONCE,
            left_behind={"state": OneOf(tuple(state.value for state in FINAL))},
        )

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

    async def finish(self, key: str) -> None:
        """Tell the operations of a computation how it ended; again from anywhere."""
        try:
            document = await self.wanting.computations.load(key)
            if document.body.is_open or document.body.is_told:
                return
            await self.wanting.settle(document.body)
            telling = partial(_told, of=document.body, look_s=self._later_s())
            await self.wanting.computations.update(key, telling)
        except NotFoundError:
            return
        except TransientError as error:  # it stays due
            log.warning("operations.told_later", key=key, error=str(error))

    async def _look(self, document: Document[Computation]) -> None:
        try:
            if not document.body.is_told:
                await self.finish(document.id)
            elif await self.wanting.has_operations(document.id):
                await self.wanting.computations.update(document.id, partial(kept, look_s=self._later_s()))
            else:
                await self._expire(document.id)
        finally:
            await self._let_go(document.id)

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
            await computations.update(key, lambda old: kept(old, time.time() + AGAIN_S))
            return
        await self.storing.forget(key)
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
            {"state": UNFINISHED_STATES, "called_s": long_ago}, order=Order("called_s")
        ):
            lease = document.record.lease
            if (lease is None or lease.until < now) and document.body.due_s < now.timestamp():
                await self.wanting.computations.update(document.id, called_again)
                return


def _told(computation: Computation, *, of: Computation, look_s: float) -> Computation | None:
    """Note that its operations know; not where it began anew, or ended otherwise, meanwhile."""
    is_same = (computation.state, computation.ended_us) == (of.state, of.ended_us)
    return told(computation, look_s) if is_same else None


async def _due() -> Sequence[Where]:
    ended = OneOf(tuple(state.value for state in FINAL))
    return [{"state": ended, "due_s": Between(high=time.time())}]
