"""Operations of many sessions as JSON: what has ended does not change, and is written only once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from datalab.domain.asked import AskedOperation, ShownOperation
from datalab.wire.answers import Written, json_bytes
from datalab.wire.views import operation_json
from shared.state import Collection, OneOf, Order
from shared.state.port import Page

OPERATIONS_AT_ONCE = 5000
"""Documents of one question to the store; each costs a sorting there."""
WRITTEN_AT_ONCE = 200
"""Operations after which other requests get their turn."""
OLDEST_FIRST = Order("number")
KEPT_BYTES = 16 << 20
KEPT_FOR_S = 3600.0
"""The URLs in it count for days."""

Key = tuple[str, int, str]
"""A document, its revision, and the address that its URLs begin with."""


class Shows(Protocol):
    """Whoever knows what is newest of operations; see ``ports.Operations``."""

    async def shown(self, operations: Sequence[AskedOperation], *, base_url: str) -> list[ShownOperation]:
        """Return the operations, in their order, as they are now."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An operation as it stands in a list."""

    session: int
    content: bytes
    made_s: float
    document_id: str = ""
    is_whole: bool = True
    """Its data are not elsewhere, too large for lists."""

    @property
    def view(self) -> Written:
        """Return it as a part of an answer."""
        return Written(self.content)


@dataclass(slots=True)
class Listing:
    """Writes operations, and keeps what it wrote of those that have ended."""

    asked: Collection[AskedOperation]
    operations: Shows
    at_most_bytes: int = KEPT_BYTES
    _kept: OrderedDict[Key, Listed] = field(default_factory=OrderedDict)
    _kept_bytes: int = 0

    async def of(self, sessions: Sequence[int], base_url: str) -> list[Listed]:
        """Return all operations of some sessions as they are now, by number."""
        listed: list[Listed] = []
        where, cursor = {"session": OneOf(tuple(sessions))}, None
        while sessions:
            page = await self.asked.store.find(
                self.asked.spec.name, where, order=OLDEST_FIRST, limit=OPERATIONS_AT_ONCE, after=cursor
            )
            listed += await self._listed(page, base_url)
            if (cursor := page.cursor) is None:
                break
        return listed

    async def _listed(self, page: Page, base_url: str) -> list[Listed]:
        keys = [(*version, base_url) for version in page.versions]
        found = [self._known(key) for key in keys]
        unknown = [place for place, one in enumerate(found) if one is None]
        for start in range(0, len(unknown), WRITTEN_AT_ONCE):
            part = unknown[start : start + WRITTEN_AT_ONCE]
            operations = [self.asked.typed(page.records[place]).body for place in part]
            shown = await self.operations.shown(operations, base_url=base_url)
            for place, one in zip(part, shown, strict=True):
                found[place] = self._written(keys[place], one)
            await asyncio.sleep(0)
        return [one for one in found if one is not None]

    def _known(self, key: Key) -> Listed | None:
        known = self._kept.get(key)
        if known is None or time.monotonic() - known.made_s > KEPT_FOR_S:
            return None
        self._kept.move_to_end(key)
        return known

    def _written(self, key: Key, shown: ShownOperation) -> Listed:
        listed = Listed(
            shown.operation.session,
            json_bytes(operation_json(shown)),
            time.monotonic(),
            shown.operation.document_id,
            is_whole=shown.data_file is None,
        )
        if shown.operation.state.is_final:
            self._keep(key, listed)
        return listed

    def _keep(self, key: Key, listed: Listed) -> None:
        if older := self._kept.pop(key, None):
            self._kept_bytes -= len(older.content)
        self._kept[key] = listed
        self._kept_bytes += len(listed.content)
        while self._kept_bytes > self.at_most_bytes:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1].content)
