"""What the formats are given and what they give back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction

from scaler.domain.asks import Asks
from scaler.imaging.headers import Header


@dataclass(frozen=True, slots=True)
class Job:
    """An image to scale, within the limits."""

    content: bytes
    header: Header
    asks: Asks
    size: tuple[int, int]
    """Width and height of the scaled image."""
    turbo: bool = True

    @property
    def growth(self) -> tuple[Fraction, Fraction]:
        """Return by how much the image grows across and down, exactly: sides are whole pixels."""
        return Fraction(self.size[0], self.header.width), Fraction(self.size[1], self.header.height)

    def provenance(self, kernel: str) -> str:
        """Return a sentence that tells how the image was made, the same whenever it is made."""
        sha256 = hashlib.sha256(self.content).hexdigest()
        was, now = f"{self.header.width}x{self.header.height}", f"{self.size[0]}x{self.size[1]}"
        factor = f"{self.asks.factor:g}"
        return f"Scaled by {factor} from {was} to {now} ({kernel}) by Flightline; source sha256={sha256}"


@dataclass(slots=True)
class Result:
    """A file, and what there is to say about it."""

    content: bytes
    notes: list[str] = field(default_factory=list)
