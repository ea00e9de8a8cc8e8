"""Numbers of any range to shades of grey.

What people want to see of the sky is little above its background: shades begin at the median and end where
the slope of the sorted pixels says that stars begin (IRAF's zscale), and faint light is lifted by a gamma.
"""

from __future__ import annotations

from math import prod
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from datalab.kernels.tiles import Rows

GAMMA: Final = 2.5
SAMPLES: Final = 10_000
CONTRAST: Final = 0.1
_REJECTED_SIGMAS: Final = 2.5
_TABLE: Final = {np.uint8: 4096, np.uint16: 65536}
_MOST: Final = 1e37
"""Levels are within what 32 bits can tell apart."""
_LEAST_RANGE: Final = 1e-30
_STRIP_PX: Final = 1 << 17
"""Pixels worked on at once: they stay in the cache."""

Shade = TypeVar("Shade", np.uint8, np.uint16)


class Levels(NamedTuple):
    """What is black, and what is white."""

    zmin: float
    zmax: float


def sampled(pixels: Rows) -> NDArray[np.float64]:
    """Return some thousand pixels, evenly spread, sorted; only those that are finite."""
    size = prod(pixels.shape)
    if not size:
        return np.empty(0)
    every = max(1, round((size / SAMPLES) ** 0.5))
    rows, columns = (slice(min(every, side) // 2, None, every) for side in pixels.shape)
    few = pixels[rows][:, columns].astype(np.float64).ravel()
    return np.sort(np.clip(few[np.isfinite(few)], -_MOST, _MOST))


def levels(samples: NDArray[np.float64]) -> Levels:
    """Return the levels for an image of which these are ``sampled``."""
    if not samples.size:
        return Levels(0.0, 1.0)
    zmin, most = float(np.median(samples)), float(samples[-1])
    zmax = min(most, zmin + _slope(samples) * samples.size / 2 / CONTRAST)
    if zmax <= zmin:
        zmax = most if most > zmin else zmin + max(1.0, abs(zmin) * 1e-6)
    return Levels(zmin, zmax)


def _slope(samples: NDArray[np.float64]) -> float:
    """Return how much a sorted sample is above the one before, stars left out."""
    ranks = np.arange(samples.size, dtype=np.float64)
    kept = np.ones(samples.size, np.bool_)
    for _ in range(5):
        if np.ptp(ranks[kept]) == 0:
            return 0.0
        slope, start = np.polynomial.polynomial.polyfit(ranks[kept], samples[kept], 1)[::-1]
        apart = samples - (start + slope * ranks)
        fits = np.abs(apart) <= _REJECTED_SIGMAS * apart[kept].std()
        if fits.sum() < samples.size / 2 or (fits == kept).all():
            break
        kept = fits
    return max(0.0, float(slope))


def stretched(pixels: Rows, shades: Levels, kind: type[Shade], gamma: float = GAMMA) -> NDArray[Shade]:
    """Return shades of grey, the first row at the bottom; what is not a number is black."""
    height, width = pixels.shape
    table = shade_table(kind, gamma)
    found = np.empty((height, width), kind)
    rows = max(1, _STRIP_PX // max(1, width))
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        found[height - stop : height - start] = table.take(steps_of(pixels[start:stop], shades, table.size))[
            ::-1
        ]
    return found


def shade_table(kind: type[Shade], gamma: float) -> NDArray[Shade]:
    """Return the shades of evenly spaced levels from black to white."""
    steps = _TABLE[kind]
    shades = (np.arange(steps) / (steps - 1)) ** (1 / gamma) * np.iinfo(kind).max
    table: NDArray[Shade] = np.rint(shades).astype(kind)
    return table


def steps_of(pixels: NDArray[Any], shades: Levels, steps: int) -> NDArray[np.uint16]:
    """Return which of so many even steps from black to white each pixel is; what is no number is black."""
    zmin, zmax = np.float32(shades.zmin), np.float32(shades.zmax)
    with np.errstate(over="ignore"):
        part = np.fmax(pixels, zmin, dtype=np.float32)
    np.minimum(part, zmax, out=part)
    part -= zmin
    part *= np.float32((steps - 1) / max(float(zmax) - float(zmin), _LEAST_RANGE))
    found: NDArray[np.uint16] = part.astype(np.uint16)
    return found
