"""Where something that moves among the stars is at any time, from where it was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from datalab.operations.operation import OperationError
from datalab.photometry.asking import TargetPosition
from datalab.photometry.exposures import Numbers

LEAST_POSITIONS: Final = 2
HIGHEST_ORDER: Final = 2
LONGEST_LINE_H: Final = 12.0
"""Over which two positions are enough: apparent paths curve."""


@dataclass(frozen=True)
class Track:
    """A path over the sky: polynomials of time on the plane that touches the sky where it was first seen."""

    ra: float
    dec: float
    middle_mjd: float
    first_mjd: float
    last_mjd: float
    east: Numbers
    """Coefficients, the highest power first; degrees by days."""
    north: Numbers

    @property
    def order(self) -> int:
        """Return 1 for a line, 2 for a curve."""
        return len(self.east) - 1

    @property
    def rate_arcsec_per_min(self) -> float:
        """Return how fast it goes in the middle of its positions."""
        return float(np.hypot(self.east[-2], self.north[-2])) * 3600 / 1440

    def at(self, mjd: float) -> tuple[float, float]:
        """Return right ascension and declination, in degrees."""
        after = mjd - self.middle_mjd
        return _from_plane(
            self.ra, self.dec, float(np.polyval(self.east, after)), float(np.polyval(self.north, after))
        )

    def covers(self, mjd: float) -> bool:
        """Return whether it was seen before and after."""
        return self.first_mjd <= mjd <= self.last_mjd


def fit_track(positions: Sequence[TargetPosition]) -> Track:
    """Return a line through two positions, or the curve nearest to more.

    Raises:
        OperationError: They are too few, not all with times, or all of one time.
    """
    if len(positions) < LEAST_POSITIONS:
        raise OperationError(f"Mark the target in at least {LEAST_POSITIONS} images; {len(positions)} given.")
    if any(position.mjd is None for position in positions):
        raise OperationError("Every target position needs its time (mjd).")
    times = np.array([float(position.mjd or 0.0) for position in positions])
    if len(np.unique(times)) < LEAST_POSITIONS:
        raise OperationError("The target positions must be of at least two different times.")
    start = positions[0]
    plane = np.array([_to_plane(start.ra, start.dec, one.ra, one.dec) for one in positions])
    if not np.isfinite(plane).all():
        raise OperationError("The target positions are in opposite parts of the sky.")
    middle = float(times.mean())
    order = min(HIGHEST_ORDER, len(np.unique(times)) - 1)
    return Track(
        ra=start.ra,
        dec=start.dec,
        middle_mjd=middle,
        first_mjd=float(times.min()),
        last_mjd=float(times.max()),
        east=np.polyfit(times - middle, plane[:, 0], order),
        north=np.polyfit(times - middle, plane[:, 1], order),
    )


def _to_plane(ra0: float, dec0: float, ra: float, dec: float) -> tuple[float, float]:
    """Return the gnomonic projection, in degrees; NaN on the other side of the sky."""
    right, up, up0 = np.radians(ra - ra0), np.radians(dec), np.radians(dec0)
    away = np.sin(up0) * np.sin(up) + np.cos(up0) * np.cos(up) * np.cos(right)
    if away <= 0:
        return np.nan, np.nan
    east = np.cos(up) * np.sin(right) / away
    north = (np.cos(up0) * np.sin(up) - np.sin(up0) * np.cos(up) * np.cos(right)) / away
    return float(np.degrees(east)), float(np.degrees(north))


def _from_plane(ra0: float, dec0: float, east: float, north: float) -> tuple[float, float]:
    x, y, up0 = np.radians(east), np.radians(north), np.radians(dec0)
    ra = ra0 + np.degrees(np.arctan2(x, np.cos(up0) - y * np.sin(up0)))
    dec = np.degrees(np.arcsin((np.sin(up0) + y * np.cos(up0)) / np.sqrt(1 + x * x + y * y)))
    return float(ra % 360), float(dec)
