"""Which requests go wrong, and how: rules that can be switched on and off while the simulator runs."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Rule(BaseModel):
    """What happens to requests whose path begins so."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["status", "delay", "html", "cut"]
    """A status with an error, an answer that is late, a proxy's page, or JSON that ends in the middle."""
    path: str = ""
    """The beginning of a path, such as ``kv/data/``; empty: all."""
    status: Annotated[int, Field(ge=400, le=599)] = 500
    message: str = "internal error"
    seconds: Annotated[float, Field(ge=0, le=600)] = 1
    times: Annotated[int, Field(ge=0)] = 0
    """How many requests; 0: all until the rule is removed."""


class Faults:
    """The rules that count now."""

    def __init__(self) -> None:
        self._rules: dict[int, Rule] = {}
        self._left: dict[int, int] = {}
        self._numbers = itertools.count(1)

    def add(self, rule: Rule) -> int:
        """Add a rule and return its number."""
        number = next(self._numbers)
        self._rules[number] = rule
        self._left[number] = rule.times
        return number

    def remove(self, number: int) -> bool:
        """Remove a rule; return whether there was one."""
        self._left.pop(number, None)
        return self._rules.pop(number, None) is not None

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()
        self._left.clear()

    def take(self, path: str) -> Rule | None:
        """Return the first rule for a path, and count that it was used."""
        for number, rule in self._rules.items():
            if path.startswith(rule.path):
                if rule.times:
                    self._left[number] -= 1
                    if not self._left[number]:
                        self.remove(number)
                return rule
        return None

    def document(self) -> list[dict[str, Any]]:
        """Return the rules as JSON."""
        return [{"id": number, **rule.model_dump()} for number, rule in self._rules.items()]
