"""Which request goes wrong, and what came by."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.support.dav_proxy.faults import Fault
from tests.support.dav_proxy.messages import Head


@dataclass(frozen=True)
class Rule:
    """A fault, and the requests that it strikes.

    Attributes:
        path: Looked for in the decoded address, and in the decoded destination of a move.
        nth: Of the requests that match, from 1; none: all.
    """

    fault: Fault
    method: str | None = None
    path: str = ""
    nth: int | None = 1

    def fits(self, head: Head) -> bool:
        """Return whether the rule is about a request."""
        told = (unquote(head.target), unquote(head.get("Destination")))
        return self.method in (None, head.method) and any(re.search(self.path, one) for one in told)


@dataclass(slots=True)
class Met:
    """A request that came by."""

    number: int
    method: str
    path: str
    """Decoded."""
    destination: str = ""
    status: int = 0
    """0 where the server has not answered."""


@dataclass(slots=True)
class Rules:
    """The rules in force, and the requests they were asked about."""

    rules: list[Rule] = field(default_factory=list)
    requests: list[Met] = field(default_factory=list)
    _met: Counter[int] = field(default_factory=Counter)

    def strike(self, head: Head) -> tuple[Met, list[Fault]]:
        """Note a request and return what goes wrong with it."""
        path, destination = unquote(head.target), unquote(head.get("Destination"))
        met = Met(len(self.requests) + 1, head.method, path, destination)
        self.requests.append(met)
        return met, [
            rule.fault for number, rule in enumerate(self.rules) if self._strikes(number, rule, head)
        ]

    def clear(self) -> None:
        """Let everything go well from now on; what came by is forgotten."""
        self.rules.clear()
        self.requests.clear()
        self._met.clear()

    def _strikes(self, number: int, rule: Rule, head: Head) -> bool:
        if not rule.fits(head):
            return False
        self._met[number] += 1
        return rule.nth in (None, self._met[number])
