"""Which task is worked on next: fairly among tenants, submodels apart from the tasks that wait for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from odm_gateway.domain.tasks import OPEN, Task
from shared.state import Between, Collection, OneOf, Order, Where

OPEN_STATUS = OneOf(tuple(int(status) for status in OPEN))
TENANTS_AT_MOST = 1000
"""Tenants among whom one choice is made; the others' turn comes when these have fewer tasks waiting."""


@dataclass(slots=True)
class Admission:
    """Chooses whose task comes next: the tenant's who has the least in hand here, relative to its weight."""

    tasks: Collection[Task]
    is_submodel: bool
    weights: Mapping[str, float] = field(default_factory=dict)
    """By tenant; 1 for those that are not named."""
    _in_hand: Counter[str] = field(default_factory=Counter)

    async def waiting(self) -> Sequence[Where]:
        """Return what to claim, in the order of preference."""
        tenants = [tenant async for tenant in self._tenants()]
        return [self._of(tenant) for tenant in sorted(tenants, key=self._load)]

    @contextmanager
    def in_hand(self, task: Task) -> Iterator[None]:
        """Count ``task`` among its tenant's while the block runs."""
        self._in_hand[task.tenant] += 1
        try:
            yield
        finally:
            self._in_hand[task.tenant] -= 1

    def _load(self, tenant: str) -> float:
        return (self._in_hand[tenant] + 1) / self.weights.get(tenant, 1.0)

    def _of(self, tenant: str) -> Where:
        return {"status": OPEN_STATUS, "is_submodel": self.is_submodel, "tenant": tenant}

    async def _tenants(self) -> AsyncIterator[str]:
        """Yield the tenants that have open tasks."""
        after: str | None = None
        for _ in range(TENANTS_AT_MOST):
            where: Where = {"status": OPEN_STATUS, "is_submodel": self.is_submodel}
            if after is not None:
                where = {**where, "tenant": Between(low=f"{after}\0")}
            page = await self.tasks.store.find(self.tasks.spec.name, where, order=Order("tenant"), limit=1)
            if not page.records:
                return
            after = str(page.records[0].body["tenant"])
            yield after
