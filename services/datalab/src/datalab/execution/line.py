"""The line of computations that wait for a worker, in which users take turns.

Turns are numbers, and the lowest is next. What somebody asks for gets the turn behind their own last one, and
behind the next one of all: it waits for one computation of each other user, however many those have asked
for, and nobody who asks later comes before it more than once.
"""

from __future__ import annotations

from dataclasses import dataclass

from datalab.domain.asked import State
from datalab.domain.computations import Computation
from shared.state import Collection, Order, Where

WAITING: Where = {"state": State.PENDING.value}
BY_TURN = Order("turn")


@dataclass(frozen=True, slots=True)
class Line:
    """Those that wait, of all users."""

    computations: Collection[Computation]

    async def next_turn(self, user: str) -> int:
        """Return the turn of what ``user`` asks for now; two that ask at once may get the same."""
        first = await self._turn(WAITING, BY_TURN)
        own_last = await self._turn({**WAITING, "asked_by": user}, Order("turn", descending=True))
        return max(first, own_last) + 1

    async def _turn(self, where: Where, order: Order) -> int:
        spec, store = self.computations.spec, self.computations.store
        page = await store.find(spec.name, where, order=order, limit=1)
        return int(page.records[0].body.get("turn", 0)) if page.records else 0
