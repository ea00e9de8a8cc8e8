"""How slowly a file may come before it is given up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """The least rate; only the time that we wait for bytes counts."""

    slowest_bytes_per_s: float = 4096
    over_s: float = 60.0

    def is_too_slow(self, received_bytes: int, waited_s: float) -> bool:
        """Return whether so much in so long is hopeless."""
        return waited_s > self.over_s and received_bytes < self.slowest_bytes_per_s * waited_s
