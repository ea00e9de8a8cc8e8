"""What a simulated flight is to be like."""

from __future__ import annotations

import math
from dataclasses import dataclass

ASPECT = 4 / 3
"""A photo's width over its height."""


@dataclass(frozen=True)
class FlightPlan:
    """What to fly. All of it follows from ``seed``: the same plan gives the same bytes."""

    photos: int = 12
    megapixels: float = 1.0
    altitude_m: float = 60.0
    """Above the site's mean ground."""
    overlap: float = 0.75
    """Share of a photo seen again in the next of its strip."""
    sidelap: float = 0.65
    """Share of a photo seen again from the next strip."""
    gps_sigma_m: float = 0.25
    """Standard deviation of each photo's GPS error, per axis."""
    gps_bias_m: float = 0.35
    """Horizontal length of the error that all photos share; its height error is drawn alike."""
    tilt_deg: float = 1.5
    """Standard deviation of the camera's tilt, per axis."""
    relief: float = 1.0
    """Factor on hills of about ±2 m and a terrace of 2 m."""
    softness_px: float = 0.0
    """Blur of the scene's colours in its cells of 0.8 photo pixels: ground poor in detail."""
    seed: int = 1
    latitude_deg: float = 46.95
    longitude_deg: float = 7.43
    site_altitude_m: float = 540.0

    def __post_init__(self) -> None:
        """Refuse what cannot be flown."""
        if self.photos < 1 or self.megapixels <= 0:
            raise ValueError("A flight needs at least one photo, and a photo needs pixels.")
        if not (0 <= self.overlap < 1 and 0 <= self.sidelap < 1):
            raise ValueError("Overlap and sidelap are shares below 1.")
        if self.altitude_m < 25 + 8 * abs(self.relief):
            raise ValueError("Too low: trees and hills would reach the drone.")

    @property
    def width(self) -> int:
        """Of a photo, pixels."""
        return 2 * round(math.sqrt(self.megapixels * 1e6 * ASPECT) / 2)

    @property
    def height(self) -> int:
        """Of a photo, pixels."""
        return 2 * round(self.width / ASPECT / 2)
