"""Which task is worked on next: fairly among tenants, submodels apart from the tasks that wait for them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from odm_gateway.domain.shares import Shares
from odm_gateway.domain.tasks import OPEN, Status, Task
from shared.state import Between, Collection, OneOf, Order, Where

OPEN_STATUS = OneOf(tuple(int(status) for status in OPEN))
TENANTS_AT_MOST = 1000
"""Tenants among whom one choice is made; the others' turn comes when these have fewer tasks waiting."""


@dataclass(slots=True)
class Admission:
    """Chooses whose task comes next: the tenant's who has had the least slot time here, by weight."""

    tasks: Collection[Task]
    is_submodel: bool
    weights: Mapping[str, float] = field(default_factory=dict)
    """By tenant; 1 for those that are not named."""
    clock: Callable[[], float] = time.monotonic
    _shares: Shares = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing in hand."""
        self._shares = Shares(self.weights)

    async def waiting(self) -> Sequence[Where]:
        """Return what to claim, in the order of preference."""
        queued = [tenant async for tenant in self._tenants(Status.QUEUED)]
        # Nearly all of these are in somebody's hands; what a crash left behind is not.
        begun = [tenant async for tenant in self._tenants(Status.RUNNING)]
        return [self._of(tenant) for tenant in self._shares.ranked(queued, begun, self.clock())]

    @contextmanager
    def in_hand(self, task: Task) -> Iterator[None]:
        """Count ``task`` among its tenant's while the block runs."""
        self._shares.take(task.tenant, self.clock())
        try:
            yield
        finally:
            self._shares.give_back(task.tenant, self.clock())

    def _of(self, tenant: str) -> Where:
        return {"status": OPEN_STATUS, "is_submodel": self.is_submodel, "tenant": tenant}

    async def _tenants(self, status: Status) -> AsyncIterator[str]:
        """Yield the tenants that have tasks of this status."""
        after: str | None = None
        for _ in range(TENANTS_AT_MOST):
            where: Where = {"status": int(status), "is_submodel": self.is_submodel}
            if after is not None:
                where = {**where, "tenant": Between(low=f"{after}\0")}
            page = await self.tasks.store.find(self.tasks.spec.name, where, order=Order("tenant"), limit=1)
            if not page.records:
                return
            after = str(page.records[0].body["tenant"])
            yield after
