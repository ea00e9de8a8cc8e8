"""What was asked, and how it was answered: methods and paths, and never what they carry."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

_LAST = 1000


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    method: str
    path: str
    status: int


@dataclass(slots=True)
class Calls:
    """Counters since the start, or since they were reset, and the last calls."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    last: deque[Call] = field(default_factory=lambda: deque(maxlen=_LAST))

    def note(self, method: str, path: str, status: int) -> None:
        """Count a call."""
        self.last.append(Call(method, path, status))
        if len(self.counts) < _LAST or (method, path) in self.counts:
            self.counts[method, path] += 1

    def count(self, method: str, path: str) -> int:
        """Return how often a method was used on a path, such as ``kv/data/webdav``."""
        return self.counts[method, path]

    def reset(self) -> None:
        """Begin at zero."""
        self.counts.clear()
        self.last.clear()

    def document(self) -> dict[str, Any]:
        """Return the counters as JSON."""
        return {
            "total": self.counts.total(),
            "by_call": {f"{method} {path}": times for (method, path), times in self.counts.items()},
            "last": [{"method": call.method, "path": call.path, "status": call.status} for call in self.last],
        }
