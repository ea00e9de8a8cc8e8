"""Loops over the few pixels of each star, as machine code.

A pixel counts by the exact part of it that a circle covers. Bad pixels are NaN; one in the circle is taken as
the mean of the good ones around it.
"""

from __future__ import annotations

from math import asin, ceil, exp, floor, hypot, nan, pi, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datalab.kernels.compiled import compiled

CLIP_SIGMAS: Final = 2.5
SIGMA_OF_DEVIATION: Final = 1.4826
"""What a median absolute deviation of normal noise is multiplied with for its standard deviation."""
SAMPLE: Final = 500
"""Of a ring's pixels: enough to tell where to clip."""
CLIPS: Final = 2
LEAST_SPREAD: Final = 0.3
"""Of whole numbers, most of which may be the same."""
SAME_RING_PX: Final = 1.0
"""A star that is found so near has the background that was found around where it was expected."""
LEAST_RING_PIXELS: Final = 10
MOST_BAD_PART: Final = 0.1
"""Of an aperture; beyond that the sum means nothing."""
MOST_CENTRINGS: Final = 30
CENTRED_PX: Final = 1e-4
COUNTS, PIXELS, BACKGROUND, RING, PEAK, BAD, X, Y, CENTRED = range(9)
"""Columns of the table that ``measured`` makes."""


@compiled
def _corner(a: float, b: float) -> float:
    """Return how much of the unit circle lies left of ``a`` and below ``b``."""
    a, b = min(1.0, max(-1.0, a)), min(1.0, max(-1.0, b))
    across, up = a * sqrt(1 - a * a) + asin(a), b * sqrt(1 - b * b) + asin(b)
    if a * a + b * b < 1:
        return a * b + (across + up) / 2 + pi / 4
    left, below = pi / 2 + across, pi / 2 + up  # of the whole circle, left of a and below b
    if a >= 0 and b >= 0:
        return left + below - pi
    if a < 0 and b < 0:
        return 0.0
    return left if a < 0 else below


@compiled
def _covered(dx: float, dy: float, radius: float) -> float:
    """Return which part of a pixel lies in a circle whose centre is (dx, dy) from the pixel's middle."""
    far = hypot(abs(dx) + 0.5, abs(dy) + 0.5)
    if far <= radius:
        return 1.0
    near = hypot(max(abs(dx) - 0.5, 0.0), max(abs(dy) - 0.5, 0.0))
    if near >= radius:
        return 0.0
    left, right = (dx - 0.5) / radius, (dx + 0.5) / radius
    low, high = (dy - 0.5) / radius, (dy + 0.5) / radius
    part = _corner(right, high) - _corner(left, high) - _corner(right, low) + _corner(left, low)
    return max(0.0, min(1.0, part * radius * radius))


@compiled
def _good_around(pixels: NDArray[Any], row: int, column: int) -> float:
    """Return the mean of the good pixels within two of a bad one, NaN if there are none."""
    total, many = 0.0, 0
    for y in range(max(0, row - 2), min(pixels.shape[0], row + 3)):
        for x in range(max(0, column - 2), min(pixels.shape[1], column + 3)):
            if np.isfinite(pixels[y, x]):
                total += pixels[y, x]
                many += 1
    return total / many if many else nan


@compiled
def _ring(
    pixels: NDArray[Any],
    x: float,
    y: float,
    inner: float,
    outer: float,
    values: NDArray[np.float64],
) -> tuple[float, int]:
    """Return the mean of the ring's pixels without its stars, and of how many that is."""
    many = 0
    for row in range(max(0, ceil(y - outer)), min(pixels.shape[0], floor(y + outer) + 1)):
        for column in range(max(0, ceil(x - outer)), min(pixels.shape[1], floor(x + outer) + 1)):
            distance = (column - x) ** 2 + (row - y) ** 2
            if distance < inner * inner or distance > outer * outer:
                continue
            if np.isfinite(pixels[row, column]):
                values[many] = pixels[row, column]
                many += 1
    if many < LEAST_RING_PIXELS:
        return nan, 0
    return _clipped_mean(values[:many])


@compiled
def _clipped_mean(values: NDArray[np.float64]) -> tuple[float, int]:
    """Return the mean of what lies within ``CLIP_SIGMAS`` of the middle, and of how many that is."""
    some = values[:: max(1, len(values) // SAMPLE)]
    middle = np.median(some)
    reach = CLIP_SIGMAS * max(SIGMA_OF_DEVIATION * np.median(np.abs(some - middle)), LEAST_SPREAD)
    kept = 0
    for _ in range(CLIPS):
        total, kept = 0.0, 0
        for value in values:
            if abs(value - middle) <= reach:
                total += value - middle
                kept += 1
        if kept == 0:
            return nan, 0
        middle += total / kept
    return middle, kept


@compiled
def _moments(
    pixels: NDArray[Any], x: float, y: float, sigma: float, background: float
) -> tuple[float, float, float]:
    """Return the light in a Gaussian window around (x, y), and its first moments."""
    weight, across, up, reach = 0.0, 0.0, 0.0, 4 * sigma
    for row in range(max(0, ceil(y - reach)), min(pixels.shape[0], floor(y + reach) + 1)):
        for column in range(max(0, ceil(x - reach)), min(pixels.shape[1], floor(x + reach) + 1)):
            value = float(pixels[row, column])
            if not np.isfinite(value):
                value = _good_around(pixels, row, column)
                if not np.isfinite(value):
                    continue
            dx, dy = column - x, row - y
            light = (value - background) * exp(-(dx * dx + dy * dy) / (2 * sigma * sigma))
            weight += light
            across += light * dx
            up += light * dy
    return weight, across, up


@compiled
def _centre(
    pixels: NDArray[Any],
    x: float,
    y: float,
    sigma: float,
    background: float,
    most_shift: float,
) -> tuple[float, float, bool]:
    """Return the star's centre by a Gaussian window that moves onto it, or where it was expected."""
    at_x, at_y = x, y
    for _ in range(MOST_CENTRINGS):
        weight, across, up = _moments(pixels, at_x, at_y, sigma, background)
        if not weight > 0:
            return x, y, False
        step_x, step_y = 2 * across / weight, 2 * up / weight
        at_x, at_y = at_x + step_x, at_y + step_y
        if not hypot(at_x - x, at_y - y) <= most_shift:
            return x, y, False
        if hypot(step_x, step_y) < CENTRED_PX:
            break
    return at_x, at_y, True


@compiled
def _aperture(
    pixels: NDArray[Any],
    x: float,
    y: float,
    radius: float,
    row_of: NDArray[np.float64],
) -> None:
    """Sum one aperture into a row of the table: counts, pixels, peak and bad pixels."""
    total, area, bad_area, peak, bad_pixels = 0.0, 0.0, 0.0, -np.inf, 0
    for row in range(ceil(y - radius - 0.5), floor(y + radius + 0.5) + 1):
        for column in range(ceil(x - radius - 0.5), floor(x + radius + 0.5) + 1):
            part = _covered(column - x, row - y, radius)
            if part == 0:
                continue
            value = float(pixels[row, column])
            if not np.isfinite(value):
                value = _good_around(pixels, row, column)
                bad_area += part
                bad_pixels += 1
            else:
                peak = max(peak, value)
            total += part * value
            area += part
    row_of[COUNTS] = total if bad_area <= MOST_BAD_PART * area else nan
    row_of[PIXELS], row_of[PEAK], row_of[BAD] = area, peak, bad_pixels


@compiled
def _whole(x: float, y: float, radius: float, height: int, width: int) -> bool:
    """Return whether a circle lies within the frame."""
    return min(x, y) + 0.5 >= radius and x + radius + 0.5 <= width and y + radius + 0.5 <= height


@compiled
def measured(
    pixels: NDArray[Any],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    radius: float,
    inner: float,
    outer: float,
    window_sigma: float,
    most_shift: float,
) -> NDArray[np.float64]:
    """Return one row for each star, of NaN where it could not be measured."""
    table = np.full((len(x), 9), nan)
    side = 2 * ceil(outer) + 2
    values = np.empty(side * side)
    height, width = pixels.shape
    for star in range(len(x)):
        at_x, at_y = x[star], y[star]
        table[star, X], table[star, Y], table[star, CENTRED] = at_x, at_y, 0
        if not _whole(at_x, at_y, 0.0, height, width):
            continue
        background, many = _ring(pixels, at_x, at_y, inner, outer, values)
        if window_sigma > 0 and many > 0:
            at_x, at_y, centred = _centre(pixels, at_x, at_y, window_sigma, background, most_shift)
            if centred:
                table[star, X], table[star, Y], table[star, CENTRED] = at_x, at_y, 1
            if hypot(at_x - x[star], at_y - y[star]) > SAME_RING_PX:
                background, many = _ring(pixels, at_x, at_y, inner, outer, values)
        if many == 0 or not _whole(at_x, at_y, radius, height, width):
            continue
        _aperture(pixels, at_x, at_y, radius, table[star])
        table[star, BACKGROUND], table[star, RING] = background, many
        table[star, COUNTS] -= background * table[star, PIXELS]
    return table
