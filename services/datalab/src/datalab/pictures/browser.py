"""Pixels, levels and a histogram of an image, for a browser that stretches it itself."""

from __future__ import annotations

from math import ceil, log10
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from datalab.pictures.stretching import Levels, levels, sampled

_BESIDE: Final = 10
_WITHIN: Final = 100
"""Bins of the histogram: few where little is to be seen, many between the levels."""
_LARGE: Final = 1 << 25
"""Pixels; of larger images, copies with more bytes a pixel would take more memory than there is."""
_ROWS: Final = 64
_STEPS: Final = 20_000
"""Values are rounded such that there are about as many between the levels."""


def browser_image(
    pixels: NDArray[Any], mask: NDArray[np.bool_] | None, *, side_px: int, saturation: float | None
) -> dict[str, Any]:
    """Return a square of ``side_px``, the first row at its bottom, as JSON: what is unknown is None.

    Args:
        pixels: Of the image.
        mask: What of it is not to be trusted.
        side_px: Of the square.
        saturation: Where the histogram ends, when the image's own values do not end before.
    """
    samples = sampled(pixels)
    shades = levels(samples)
    digits = _digits(shades)
    edges = _edges(samples, shades, saturation)
    counts = np.histogram(samples, edges)[0]
    return {
        "data": _numbers(_square(pixels, mask, side_px)[::-1], digits),
        "height": side_px,
        "width": side_px,
        "histogram": [log10(count) if count else 0.0 for count in counts.tolist()],
        "bins": np.round((edges[:-1] + edges[1:]) / 2, digits).tolist(),
        "zmin": round(shades.zmin, digits),
        "zmax": round(shades.zmax, digits),
    }


def _square(pixels: NDArray[Any], mask: NDArray[np.bool_] | None, side_px: int) -> NDArray[np.float64]:
    """Return means of what is known; NaN where nothing is."""
    times = min(pixels.shape) // (4 * side_px) if pixels.size > _LARGE else 1
    values, known = _shrunk(pixels, mask, times) if times > 1 else _known(pixels, mask)
    shrinks = min(values.shape) > side_px
    way = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    size = (side_px, side_px)
    if known is None:
        return np.asarray(cv2.resize(values, size, interpolation=way), np.float64)
    sums = cv2.resize(values, size, interpolation=way).astype(np.float64)
    parts = cv2.resize(known, size, interpolation=way)
    return np.divide(sums, parts, out=np.full_like(sums, np.nan), where=parts > 1e-3)  # noqa: PLR2004


def _known(
    pixels: NDArray[Any], mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return values, 0 where they are unknown, and where they are known; None: everywhere."""
    values = pixels.astype(np.float32)
    known = np.isfinite(values)
    if mask is not None:
        known &= ~mask
    if known.all():
        return values, None
    values[~known] = 0
    return values, known.astype(np.float32)


def _shrunk(
    pixels: NDArray[Any], mask: NDArray[np.bool_] | None, times: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the same with means of squares as pixels, some rows at a time; what is over is left out."""
    height, width = pixels.shape[0] // times, pixels.shape[1] // times
    values, known = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    for top in range(0, height, _ROWS):
        rows = slice(top * times, min(top + _ROWS, height) * times)
        beside = slice(width * times)
        some, sure = _known(pixels[rows, beside], None if mask is None else mask[rows, beside])
        size = (width, len(some) // times)
        here = slice(top, top + size[1])
        values[here] = cv2.resize(some, size, interpolation=cv2.INTER_AREA)
        known[here] = 1 if sure is None else cv2.resize(sure, size, interpolation=cv2.INTER_AREA)
    return values, known


def _numbers(values: NDArray[np.float64], digits: int) -> list[float | None]:
    flat = np.round(values, digits).ravel()
    numbers: list[float | None] = list(flat.tolist())
    for index in np.flatnonzero(~np.isfinite(flat)).tolist():
        numbers[index] = None
    return numbers


def _digits(shades: Levels) -> int:
    """Return how many digits behind the point matter."""
    return min(12, max(0, ceil(-log10((shades.zmax - shades.zmin) / _STEPS))))


def _edges(samples: NDArray[np.float64], shades: Levels, saturation: float | None) -> NDArray[np.float64]:
    lowest, highest = (float(samples[0]), float(samples[-1])) if samples.size else shades
    margin = (shades.zmax - shades.zmin) / 4
    low, high = shades.zmin - margin, shades.zmax + margin
    start, end = min(lowest, low, 0.0), max(highest, high, saturation or high)
    parts = (
        np.linspace(start, low, _BESIDE, endpoint=False),
        np.linspace(low, high, _WITHIN, endpoint=False),
        np.linspace(high, end, _BESIDE + 1),
    )
    return np.unique(np.concatenate(parts))
