"""The median of images, pixel by pixel.

Values of a tile that fits into the cache go through a sorting network, one image's tile per step, and only as
far as the middle ranks need it. What is NaN or masked is left out: such pixels, few as a rule, are gathered
and sorted whole. The mean of two middle values is numpy's: in float64 for whole numbers, else in themselves.
The result is rounded to float32, and bit by bit that of ``np.nanmedian``, rounded so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datalab.kernels.networks import NETWORK_AT_MOST, arranged, network, sort_rows
from datalab.kernels.tiles import Tile, tiles

_CACHED_BYTES: Final = 768 << 10
"""Of a tile of all images, less than a processor's second cache."""
_LEAST_PIXELS: Final = 2048
_TOGETHER_BYTES: Final = 4 << 20
"""Of the values of pixels, some of which are not valid."""

Images = Sequence[NDArray[Any]]
Masks = Sequence[NDArray[np.bool_] | None]


def median(images: Images, masks: Masks = (), out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Return the median of images of one shape; NaN where no image has a value.

    Args:
        images: Of whole numbers or floats.
        masks: Of each image, True where a pixel is bad; none at all, or None for images without.
        out: Where to put it.
    """
    result = np.empty(images[0].shape, np.float32) if out is None else out
    kind = np.result_type(*images)
    side = max(_LEAST_PIXELS, _CACHED_BYTES // (len(images) * kind.itemsize))
    middle = _Middle(len(images), kind, min(side, result.size))
    lacking = _Lacking(images, masks, result)
    with np.errstate(all="ignore"):
        for tile in tiles((result.shape[0], result.shape[1]), side):
            middle.find([image[tile] for image in images], result[tile])
            lacking.look(tile)
        lacking.fill()
    return result


class _Middle:
    """Buffers for the median of tiles, however many there are."""

    def __init__(self, count: int, kind: np.dtype[Any], pixels: int) -> None:
        self._ranks = ((count - 1) // 2, count // 2)
        self._steps = network(count, self._ranks) if count <= NETWORK_AT_MOST else None
        buffers = count + 1 if self._steps is not None else count
        self._buffers = np.empty((buffers, pixels), kind)

    def find(self, parts: Images, out: NDArray[np.float32]) -> None:
        """Put the median of the parts into ``out``, NaN where any has it."""
        shape, size = parts[0].shape, parts[0].size
        buffers = self._buffers[:, :size].reshape(len(self._buffers), *shape)
        if self._steps is not None:
            places = arranged(self._steps, parts, buffers)
            _mean(places[self._ranks[0]], places[self._ranks[1]], out)
            return
        np.stack(parts, out=buffers)
        buffers.partition((*self._ranks, len(parts) - 1), axis=0)
        _mean(buffers[self._ranks[0]], buffers[self._ranks[1]], out)
        if buffers.dtype.kind == "f":  # a partition has NaN last
            np.copyto(out, np.nan, where=np.isnan(buffers[-1]))


def _mean(low: NDArray[Any], high: NDArray[Any], out: NDArray[np.float32]) -> None:
    if low is high:
        out[...] = low
        return
    sums = np.add(low, high, dtype=_real(low.dtype), out=out if _real(low.dtype) == np.float32 else None)
    np.divide(sums, 2, out=out, casting="same_kind")


def _real(kind: np.dtype[Any]) -> np.dtype[Any]:
    """Return the floats in which a mean of two such values is exact, or as numpy takes it."""
    return np.dtype(np.float32 if kind == np.float32 or kind.itemsize <= 2 else np.float64)  # noqa: PLR2004


class _Lacking:
    """Pixels where a value of some image is not valid; a few tiles' are filled together."""

    def __init__(self, images: Images, masks: Masks, result: NDArray[np.float32]) -> None:
        self._images, self._masks, self._result = images, masks, result
        self._marks = [mask for mask in masks if mask is not None]
        self._can_be = bool(self._marks) or any(image.dtype.kind == "f" for image in images)
        self._places: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
        self._together = _TOGETHER_BYTES // (len(images) * np.dtype(np.float64).itemsize)

    def look(self, tile: Tile) -> None:
        """Find them in a tile whose median is in the result."""
        if not self._can_be:
            return
        bad = np.isnan(self._result[tile])
        for mask in self._marks:
            np.logical_or(bad, mask[tile], out=bad)
        rows, columns = np.nonzero(bad)
        if rows.size:
            self._places.append((rows + tile[0].start, columns + tile[1].start))
        if sum(rows.size for rows, _ in self._places) > self._together:
            self.fill()

    def fill(self) -> None:
        """Put the medians of what is valid there."""
        if self._places:
            rows, columns = (np.concatenate(one) for one in zip(*self._places, strict=True))
            self._result[rows, columns] = _of_valid(self._images, self._masks, (rows, columns))
            self._places.clear()


def _of_valid(
    images: Images, masks: Masks, where: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> NDArray[np.float32]:
    """Return the medians of single pixels, of what is valid there."""
    kind = _real(np.result_type(*images))
    values = np.empty((len(images) + 1, len(where[0])), kind)
    for image, row in zip(images, values, strict=False):
        row[:] = image[where]
    for index, mask in enumerate(masks):
        if mask is not None:
            values[index, mask[where]] = np.nan
    missing = np.isnan(values[:-1])
    counts = len(images) - np.count_nonzero(missing, axis=0)
    values[:-1][missing] = np.inf
    ascending = values[sort_rows(values)]
    low, high = (
        np.take_along_axis(ascending, rank[np.newaxis], axis=0)[0]
        for rank in (np.maximum(counts - 1, 0) // 2, np.minimum(counts // 2, len(images) - 1))
    )
    medians = np.where(counts % 2, low, (low + high) / 2)
    medians[counts == 0] = np.nan
    return np.asarray(medians, np.float32)
