"""How fast something goes, lately."""

from __future__ import annotations

import math

HALF_OF_IT_S = 10.0
"""What is this old counts half."""


class Speed:
    """An average that forgets."""

    def __init__(self, now_s: float) -> None:
        self._at_s = now_s
        self._bytes = 0.0
        self._seconds = 0.0

    def add(self, more_bytes: int, now_s: float) -> None:
        """Count bytes that have come since the last call."""
        passed_s = max(0.0, now_s - self._at_s)
        kept = math.exp2(-passed_s / HALF_OF_IT_S)
        self._at_s = now_s
        self._bytes = self._bytes * kept + more_bytes
        self._seconds = self._seconds * kept + passed_s

    @property
    def bytes_per_s(self) -> float:
        """Return the average."""
        return self._bytes / self._seconds if self._seconds > 0 else 0.0
