"""How fast bytes arrive: whoever sends just enough not to be silent must come to an end, too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """The pace of a sender, by the time that was spent waiting for it: our own slowness does not count."""

    slowest_bytes_per_s: float
    grace_s: float
    """So long may it take to get going, or pause."""
    waited_s: float = 0
    arrived_bytes: int = 0

    def add(self, waited_s: float, arrived_bytes: int) -> None:
        """Note that so many bytes came after so long."""
        self.waited_s += waited_s
        self.arrived_bytes += arrived_bytes

    @property
    def is_too_slow(self) -> bool:
        """Return whether there is no point in waiting any longer."""
        return (self.waited_s - self.grace_s) * self.slowest_bytes_per_s > self.arrived_bytes
