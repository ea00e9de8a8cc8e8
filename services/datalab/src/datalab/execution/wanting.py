"""Which operations point to a computation, and what that means for it.

A computation is made or opened before an operation that points to it is stored, and looked at once more
behind that; whoever gives one up looks for operations before and after. So of two who meet, one sees the
other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from datalab.clock import now_us
from datalab.domain.asked import UNFINISHED, AskedOperation
from datalab.domain.computations import Computation, called, cancelled, joined
from datalab.domain.endings import completion, settled
from datalab.execution.events import SOURCE, call_for
from shared.errors import NotFoundError
from shared.events import Event, TaskCompleted, new_event
from shared.objects.port import ObjectStore
from shared.state import Change, Collection, Document, OneOf

UNFINISHED_STATES = OneOf(tuple(state.value for state in UNFINISHED))


@dataclass(frozen=True, slots=True)
class Wanting:
    """The computations and the operations that want them."""

    computations: Collection[Computation]
    operations: Collection[AskedOperation]
    objects: ObjectStore
    wake: Callable[[], None]
    """Has workers of this process look for work."""

    async def open(self, asked: Computation) -> Computation:
        """Have a computation that is as ``asked``, to be computed unless it is there; return it as it is."""
        fresh = asked.model_copy(update={"called_s": time.time()})
        while True:
            document, is_new = await self.computations.ensure(asked.key, fresh, events=[call_for(fresh)])
            if not is_new:
                try:
                    document = await self.computations.update(asked.key, partial(_joined, asked=fresh))
                except NotFoundError:  # its results expired just now
                    continue
            self.wake()
            return document.body

    async def give_up(self, key: str) -> None:
        """Cancel a computation that goes on although no operation waits for it."""
        if await self._is_wanted(key):
            return
        try:
            document = await self.computations.update(key, lambda one: cancelled(one, now_us()))
            if await self._is_wanted(key):
                await self.open(document.body)
        except NotFoundError:
            return

    async def settle(self, computation: Computation) -> None:
        """Tell the operations that wait for a computation how it ended."""
        async for document in self.operations.each({"key": computation.key, "state": UNFINISHED_STATES}):
            await self.settle_one(document.id, computation)

    async def settle_one(self, document_id: str, computation: Computation) -> Document[AskedOperation] | None:
        """Tell one operation how its computation ended, if it has; None: the operation is gone."""
        try:
            return await self.operations.update(document_id, partial(self._settled, computation=computation))
        except NotFoundError:
            return None

    async def has_operations(self, key: str) -> bool:
        """Return whether any operation points to a computation."""
        return bool((await self.operations.find({"key": key}, limit=1)).items)

    def told(self, operation: AskedOperation, started_us: int) -> Event[TaskCompleted]:
        """Return the event that an operation has ended."""
        data = completion(operation, started_us, self.objects.uri)
        return new_event(SOURCE, data, event_id=f"{operation.document_id}.{operation.ended_us}")

    def _settled(
        self, operation: AskedOperation, *, computation: Computation
    ) -> Change[AskedOperation] | None:
        if operation.key != computation.key:
            return None
        ended = settled(operation, computation)
        return Change(ended, [self.told(ended, computation.started_us)]) if ended else None

    async def _is_wanted(self, key: str) -> bool:
        waiting = await self.operations.find({"key": key, "state": UNFINISHED_STATES}, limit=1)
        return bool(waiting.items)


def _joined(computation: Computation, *, asked: Computation) -> Change[Computation] | None:
    changed = joined(computation, asked, now_us())
    if changed is None:
        return None
    begins_anew = changed.is_open and not computation.is_open
    return Change(changed, [call_for(changed)] if begins_anew else [])


def called_again(computation: Computation) -> Change[Computation] | None:
    """Return a computation with another call for workers."""
    changed = called(computation, time.time())
    return Change(changed, [call_for(changed)]) if changed else None
