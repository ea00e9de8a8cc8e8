"""Sigma clipping of images, pixel by pixel, and their mean or median thereafter.

Values of a pixel are sorted first, by tiles through a network; then clipping moves the ends of what is left.
Deviations are of the whole population, in float64, and clipping stops when nothing more is outside, as with
``astropy.stats.sigma_clip``; the mean is that of float64, rounded to float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from datalab.kernels.compiled import compiled
from datalab.kernels.median import Images, Masks
from datalab.kernels.networks import sort_rows
from datalab.kernels.tiles import Tile, tiles

_CACHED_BYTES: Final = 768 << 10
_LEAST_PIXELS: Final = 2048
_WINSORISED_TO: Final = 1.5
"""Deviations: what is farther is drawn in there before a deviation is taken."""
_WINSORISED_LOSE: Final = 1.134
"""By which the deviation of a normal distribution is too small after that."""
_SETTLED: Final = 5e-4
_SETTLES_WITHIN: Final = 50


@dataclass(frozen=True, slots=True)
class Clipping:
    """What is left out."""

    low: float = 3.0
    """Deviations below the centre."""
    high: float = 3.0
    rounds: int = 5
    """At most; 0: nothing is clipped."""
    centre: Literal["mean", "median"] = "median"
    winsorised: bool = False
    """Whether outliers are drawn in before the deviation is taken, such that a few do not hide themselves.

    The centre is the median then.
    """


def clipped(
    images: Images,
    clipping: Clipping,
    *,
    masks: Masks = (),
    combine: Literal["mean", "median"] = "mean",
    weights: Sequence[float] | None = None,
    out: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Return the mean or median of what is left, NaN where nothing is, and how many values were clipped.

    Args:
        images: Of one shape.
        clipping: What is left out.
        masks: Of each image, True where a pixel is bad; none at all, or None for images without.
        combine: What is made of what is left.
        weights: Of each image, when they are not the same; clipping does not know them.
        out: Where to put it.
    """
    result = np.empty(images[0].shape, np.float32) if out is None else out
    pixels = max(_LEAST_PIXELS, _CACHED_BYTES // (len(images) * 8))
    lost = 0
    block = np.empty((len(images) + 1, min(pixels, result.size)), _real(images))
    lost = 0
    with np.errstate(all="ignore"):
        for tile in tiles((result.shape[0], result.shape[1]), pixels):
            values = block[:, : result[tile].size]
            counts = _fill(
                values[:-1], [image[tile] for image in images], [_part(mask, tile) for mask in masks]
            )
            unsorted = None if weights is None else values[:-1].copy()
            made, ends = np.empty(counts.size, np.float32), np.empty((2, counts.size), np.float64)
            to_median = combine == "median" and weights is None
            lost += _clip(values, sort_rows(values), counts, *_numbers(clipping), to_median, made, ends)
            if unsorted is not None:
                _weigh(unsorted, ends, np.asarray(weights, np.float64), combine == "median", made)
            result[tile] = made.reshape(result[tile].shape)
    return result, lost


def _real(images: Images) -> np.dtype[Any]:
    kind = np.result_type(*images)
    return np.dtype(np.float32 if kind == np.float32 or kind.itemsize <= 2 else np.float64)  # noqa: PLR2004


def _part(mask: NDArray[np.bool_] | None, tile: Tile) -> NDArray[np.bool_] | None:
    return None if mask is None else mask[tile]


def _fill(values: NDArray[Any], parts: Images, masks: Masks) -> NDArray[np.int64]:
    """Put the values of each pixel there, infinity where they are not valid, and return how many are."""
    shaped = values.reshape(len(parts), *parts[0].shape)
    for row, part in zip(shaped, parts, strict=True):
        row[...] = part
    missing = ~np.isfinite(shaped)
    for index, mask in enumerate(masks):
        if mask is not None:
            missing[index] |= mask
    if not missing.any():
        return np.full(values.shape[1], len(parts))
    shaped[missing] = np.inf
    return np.asarray(len(parts) - np.count_nonzero(missing.reshape(values.shape), axis=0))


def _numbers(clipping: Clipping) -> tuple[float, float, int, bool, bool]:
    return (
        float(clipping.low),
        float(clipping.high),
        clipping.rounds,
        clipping.centre == "median" or clipping.winsorised,
        clipping.winsorised,
    )


@compiled
def _clip(
    block: NDArray[Any],
    ranks: NDArray[np.int64],
    counts: NDArray[np.int64],
    low: float,
    high: float,
    rounds: int,
    by_median: bool,
    winsorised: bool,
    to_median: bool,
    made: NDArray[np.float32],
    ends: NDArray[np.float64],
) -> int:
    """Clip each column, put its mean or median into ``made``, what is left lies between ``ends``."""
    lost = 0
    values = np.empty(ranks.size, np.float64)
    means, deviations = np.empty(counts.size, np.float64), np.empty(counts.size, np.float64)
    _moments(block, ranks, counts, means, deviations)
    for column in range(counts.size):
        count = counts[column]
        if count == 0:
            made[column], ends[0, column], ends[1, column] = np.nan, np.inf, -np.inf
            continue
        least, most = np.float64(block[ranks[0], column]), np.float64(block[ranks[count - 1], column])
        lower, upper = block[ranks[(count - 1) // 2], column], block[ranks[count // 2], column]
        middle = (np.float64(lower) + np.float64(upper)) / 2
        centre, deviation = middle if by_median else means[column], deviations[column]
        if rounds == 0 or (
            not winsorised and least >= centre - low * deviation and most <= centre + high * deviation
        ):
            ends[0, column], ends[1, column] = least, most
            made[column] = middle if to_median else means[column]
            continue
        for row in range(count):
            values[row] = block[ranks[row], column]
        first, last = _left(values[:count], low, high, rounds, by_median, winsorised)
        lost += count - (last - first)
        ends[0, column], ends[1, column] = values[first], values[last - 1]
        made[column] = _middle(values[first:last]) if to_median else _mean(values[first:last])
    return lost


@compiled
def _moments(
    block: NDArray[Any],
    ranks: NDArray[np.int64],
    counts: NDArray[np.int64],
    means: NDArray[np.float64],
    deviations: NDArray[np.float64],
) -> None:
    """Put the mean and the deviation of each column there; by rows, which processors do for many at once."""
    for column in range(counts.size):
        means[column] = deviations[column] = 0.0
    for row in range(ranks.size):
        values = block[ranks[row]]
        for column in range(counts.size):
            means[column] += values[column] if row < counts[column] else 0.0
    for column in range(counts.size):
        means[column] /= max(counts[column], 1)
    for row in range(ranks.size):
        values = block[ranks[row]]
        for column in range(counts.size):
            away = values[column] - means[column] if row < counts[column] else 0.0
            deviations[column] += away * away
    for column in range(counts.size):
        deviations[column] = np.sqrt(deviations[column] / max(counts[column], 1))


@compiled
def _left(
    values: NDArray[np.float64], low: float, high: float, rounds: int, by_median: bool, winsorised: bool
) -> tuple[int, int]:
    """Return from where to where ascending values are left."""
    first, last = 0, values.size
    for _ in range(rounds):
        left = values[first:last]
        centre = _middle(left) if by_median else _mean(left)
        deviation = _winsorised_deviation(left) if winsorised else _deviation(left)
        before = last - first
        while first < last - 1 and values[first] < centre - low * deviation:
            first += 1
        while first < last - 1 and values[last - 1] > centre + high * deviation:
            last -= 1
        if last - first == before:
            break
    return first, last


@compiled
def _middle(ascending: NDArray[np.float64]) -> float:
    count = ascending.size
    return float((ascending[(count - 1) // 2] + ascending[count // 2]) / 2)


@compiled
def _mean(values: NDArray[np.float64]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total / values.size


@compiled
def _deviation(values: NDArray[np.float64]) -> float:
    mean, total = _mean(values), 0.0
    for value in values:
        total += (value - mean) ** 2
    return float(np.sqrt(total / values.size))


@compiled
def _winsorised_deviation(ascending: NDArray[np.float64]) -> float:
    """Return the deviation of values of which those far away are drawn in, until it stays."""
    median, deviation = _middle(ascending), _deviation(ascending)
    drawn = ascending.copy()
    for _ in range(_SETTLES_WITHIN):
        least, most = median - _WINSORISED_TO * deviation, median + _WINSORISED_TO * deviation
        for index in range(drawn.size):
            drawn[index] = min(max(drawn[index], least), most)
        before, deviation = deviation, _WINSORISED_LOSE * _deviation(drawn)
        if abs(deviation - before) <= _SETTLED * before:
            break
    return deviation


@compiled
def _weigh(
    values: NDArray[Any],
    ends: NDArray[np.float64],
    weights: NDArray[np.float64],
    to_median: bool,
    made: NDArray[np.float32],
) -> None:
    """Put the weighted mean or median of what lies between the ends into ``made``."""
    left, theirs = np.empty(len(values), np.float64), np.empty(len(values), np.float64)
    for column in range(made.size):
        count, total, whole = 0, 0.0, 0.0
        for row in range(len(values)):
            value = np.float64(values[row, column])
            if ends[0, column] <= value <= ends[1, column]:
                left[count], theirs[count] = value, weights[row]
                total += value * weights[row]
                whole += weights[row]
                count += 1
        if not count:
            made[column] = np.nan
        elif to_median:
            made[column] = _weighted_middle(left, theirs, count, whole)
        else:
            made[column] = total / whole


@compiled
def _weighted_middle(
    values: NDArray[np.float64], weights: NDArray[np.float64], count: int, whole: float
) -> float:
    """Return the value with half of the weight on either side; the mean of two, if it is between them.

    The arrays are sorted in place.
    """
    for end in range(1, count):
        value, weight, index = values[end], weights[end], end
        while index > 0 and values[index - 1] > value:
            values[index], weights[index] = values[index - 1], weights[index - 1]
            index -= 1
        values[index], weights[index] = value, weight
    below = 0.0
    for index in range(count - 1):
        below += weights[index]
        if below * 2 > whole:
            return float(values[index])
        if below * 2 == whole:
            return float((values[index] + values[index + 1]) / 2)
    return float(values[count - 1])
