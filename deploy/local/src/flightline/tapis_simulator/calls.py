"""How often what was asked, so that tests and measurements can count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_MOST_PATHS = 200_000


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the operation's id in tapipy, and the system and path that it is about."""

    method: str
    operation: str
    url_path: str
    system: str = ""
    path: str = ""


@dataclass(slots=True)
class Calls:
    """Counters since the start, or since they were reset."""

    by_operation: Counter[str] = field(default_factory=Counter)
    by_system: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_path: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By operation and status; 0 where the connection ended before the answer did."""
    bytes_sent: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    peak: Counter[str] = field(default_factory=Counter)
    """The most requests at a time, by system."""

    def count(self, operation: str, *, system: str | None = None, path: str | None = None) -> int:
        """Return how often an operation was asked for, of one system or path if named."""
        if path is not None:
            return sum(
                times
                for (one, at, of), times in self.by_path.items()
                if one == operation and of == path and system in (None, at)
            )
        if system is not None:
            return self.by_system[operation, system]
        return self.by_operation[operation]

    @contextmanager
    def counted(self, call: Call) -> Iterator[None]:
        """Count a call, and that it is in flight until the block ends."""
        self.by_operation[call.operation] += 1
        if call.system:
            self.by_system[call.operation, call.system] += 1
            key = (call.operation, call.system, call.path)
            if key in self.by_path or len(self.by_path) < _MOST_PATHS:
                self.by_path[key] += 1
        self.in_flight[call.system] += 1
        self.peak[call.system] = max(self.peak[call.system], self.in_flight[call.system])
        try:
            yield
        finally:
            self.in_flight[call.system] -= 1

    def reset(self) -> None:
        """Begin at zero; what is in flight stays so."""
        for counter in (self.by_operation, self.by_system, self.by_path, self.statuses, self.bytes_sent):
            counter.clear()
        self.peak.clear()

    def document(self, *, with_paths: bool = False) -> dict[str, Any]:
        """Return the counters as JSON."""
        document: dict[str, Any] = {
            "total": self.by_operation.total(),
            "by_operation": dict(self.by_operation),
            "by_system": _nested(self.by_system),
            "statuses": _nested(self.statuses),
            "bytes_sent": dict(self.bytes_sent),
            "peak_by_system": dict(self.peak),
        }
        if with_paths:
            document["by_path"] = [
                {"operation": operation, "system": system, "path": path, "times": times}
                for (operation, system, path), times in self.by_path.items()
            ]
        return document


def _nested(counter: Counter[tuple[str, Any]]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (outer, inner), times in counter.items():
        nested.setdefault(outer, {})[str(inner)] = times
    return nested
