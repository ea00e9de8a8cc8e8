"""The list of tasks, read from the state at most once in a while: thousands of tasks are much to read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from odm_gateway.domain.callers import Caller
from odm_gateway.domain.tasks import Task
from shared.state import Collection, Order, Where

KEPT_S = 0.5
"""For as long another replica's new tasks may be missing; what this one changes is listed at once."""
CALLERS_AT_MOST = 128
PAGE = 1000


@dataclass(frozen=True, slots=True)
class _Reading:
    rows: asyncio.Task[list[Mapping[str, str]]]
    began_s: float

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.began_s + KEPT_S


@dataclass(slots=True)
class Listing:
    """The tasks of each caller, oldest first."""

    tasks: Collection[Task]
    _readings: dict[Caller, _Reading] = field(default_factory=dict)

    def forget(self) -> None:
        """Read every list anew: there is another task, or one less."""
        self._readings = {}

    async def rows(self, caller: Caller) -> list[Mapping[str, str]]:
        """Return the ids of the tasks that a caller sees, each as an object with its ``uuid``."""
        reading = self._readings.get(caller)
        if reading is None or not reading.is_fresh:
            reading = self._begin(caller)
        # Many wait for one reading, and one that goes away must not take it from the others.
        return await asyncio.shield(reading.rows)

    def _begin(self, caller: Caller) -> _Reading:
        if len(self._readings) >= CALLERS_AT_MOST:
            self._readings.clear()
        rows = asyncio.create_task(self._read(theirs_of(caller)), name="list of tasks")
        self._readings[caller] = _Reading(rows, time.monotonic())
        return self._readings[caller]

    async def _read(self, theirs: Where) -> list[Mapping[str, str]]:
        rows: list[Mapping[str, str]] = []
        cursor: str | None = None
        while True:
            # Unread: thousands of tasks are listed, and only their ids are wanted.
            page = await self.tasks.store.find(
                self.tasks.spec.name, theirs, order=Order("inserted_us"), limit=PAGE, after=cursor
            )
            rows += [{"uuid": record.body["id"]} for record in page.records if not record.body["removing"]]
            cursor = page.cursor
            if cursor is None:
                return rows


def theirs_of(caller: Caller) -> Where:
    """Return what tasks are like that a caller sees."""
    if caller.parent is not None:
        return {"parent": caller.parent}
    return {} if caller.sees_all else {"tenant": caller.name}
