"""Numbers that are given once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.errors import NotFoundError
from shared.state import Collection

Kind = Literal["session", "operation", "upload", "recipe", "run"]


class Counter(BaseModel):
    """The last number that was given."""

    model_config = ConfigDict(frozen=True)

    last: int = 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """Gives the numbers that clients know sessions, operations and the like by; any process may."""

    counters: Collection[Counter]

    async def next(self, kind: Kind) -> int:
        """Return a number that nothing of its kind has had, from 1."""
        try:
            counted = await self.counters.update(kind, lambda old: Counter(last=old.last + 1))
        except NotFoundError:  # the first of all
            await self.counters.ensure(kind, Counter())
            return await self.next(kind)
        return counted.body.last
