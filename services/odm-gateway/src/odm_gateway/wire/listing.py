"""The list of tasks, read from the state at most once in a while: thousands of tasks are much to read."""

from __future__ import annotations

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
class _List:
    rows: list[Mapping[str, str]]
    until_s: float


@dataclass(slots=True)
class Listing:
    """The tasks of each caller, oldest first."""

    tasks: Collection[Task]
    _lists: dict[Caller, _List] = field(default_factory=dict)

    def forget(self) -> None:
        """Read every list anew: there is another task, or one less."""
        self._lists = {}  # another: what is being read now goes to the old one

    async def rows(self, caller: Caller) -> list[Mapping[str, str]]:
        """Return the ids of the tasks that a caller sees, each as an object with its ``uuid``."""
        kept = self._lists.get(caller)
        if kept and time.monotonic() < kept.until_s:
            return kept.rows
        lists = self._lists
        until_s = time.monotonic() + KEPT_S  # from here: what is read ages while the rest is read
        rows = await self._read(theirs_of(caller))
        if len(lists) >= CALLERS_AT_MOST:
            lists.clear()
        lists[caller] = _List(rows, until_s)
        return rows

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
