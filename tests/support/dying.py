"""Stores that end the process using them, as far as it can tell, at one of their writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class KilledError(BaseException):
    """No code of ours runs behind this one: nothing catches it and goes on."""


@dataclass
class Doom:
    """When the end comes: at the ``at``-th write, before it has happened or just after."""

    at: int
    after: bool
    seen: int = 0

    @property
    def has_come(self) -> bool:
        """Return whether the end has come."""
        return self.seen >= self.at


@dataclass
class Dying:
    """A store of documents or of objects, up to the end."""

    store: Any
    doom: Doom
    writes: frozenset[str] = field(default=frozenset({"insert", "swap", "delete", "put"}))

    def __getattr__(self, name: str) -> Any:
        """Return the store's own method, which ends where the end comes."""
        own = getattr(self.store, name)
        if name not in self.writes:
            return own

        async def write(*args: Any, **more: Any) -> Any:
            if self.doom.has_come:
                raise KilledError
            self.doom.seen += 1
            if self.doom.has_come and not self.doom.after:
                raise KilledError
            result = await own(*args, **more)
            if self.doom.has_come:
                raise KilledError
            return result

        return write
