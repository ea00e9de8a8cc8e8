"""The median of all numbers of an image, exact, for which nothing of it is copied or sorted.

Floats that are ordered by their bits are counted by the upper 16 of these, then those that begin as the
middle one does by the next 16, until all of its bits are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datalab.kernels.tiles import tiles

_BITS: Final = 16
_TILE_PIXELS: Final = 1 << 16

Floats = NDArray[np.floating[Any]]
Parts = Callable[[], Iterable[Floats]]
"""Gives numbers part by part, the same ones each time, of 32 bits or of 64."""


def median_of(pixels: Floats) -> float:
    """Return the median of an image's numbers; NaN: it has none."""

    def parts() -> Iterator[Floats]:
        for tile in tiles((pixels.shape[0], pixels.shape[1]), _TILE_PIXELS):
            yield pixels[tile].ravel()

    return median_of_parts(parts)


def median_of_parts(parts: Parts) -> float:
    """Return the median of all numbers of some parts; what is not finite is none."""
    counted = _Counted(parts)
    total = int(counted.beginning(0, 0).sum())
    if not total:
        return float("nan")
    low, high = (counted.number(rank) for rank in ((total - 1) // 2, total // 2))
    return float((np.float64(low) + np.float64(high)) / 2)


class _Counted:
    """How many numbers begin with which bits."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._kind: np.dtype[Any] = np.dtype(np.float32)
        self._counts: dict[tuple[int, int], NDArray[np.intp]] = {}

    def number(self, rank: int) -> np.floating[Any]:
        """Return the number before which there are so many."""
        bits = level = 0
        while level * _BITS < self._width:
            ends = self.beginning(bits, level).cumsum()
            place = int(np.searchsorted(ends, rank, side="right"))
            rank -= int(ends[place - 1]) if place else 0
            bits, level = bits << _BITS | place, level + 1
        sign = 1 << self._width - 1
        stored = bits ^ (sign if bits & sign else 2 * sign - 1)
        found: np.floating[Any] = np.array([stored], self._unsigned).view(self._kind)[0]
        return found

    def beginning(self, bits: int, level: int) -> NDArray[np.intp]:
        """Count the numbers that begin with some bits, by their next ones."""
        if (bits, level) not in self._counts:
            counts = np.zeros(1 << _BITS, np.intp)
            for part in self._parts():
                self._kind = part.dtype
                counts += self._counts_of(part, bits, level)
            self._counts[bits, level] = counts
        return self._counts[bits, level]

    def _counts_of(self, part: Floats, bits: int, level: int) -> NDArray[np.intp]:
        finite = np.isfinite(part)
        stored = (part if finite.all() else part[finite]).view(self._unsigned)
        sign = self._unsigned.type(1 << self._width - 1)
        ordered = stored ^ (np.negative(stored >> self._unsigned.type(self._width - 1)) | sign)
        behind = self._width - (level + 1) * _BITS
        if level:
            ordered = ordered[ordered >> self._unsigned.type(behind + _BITS) == bits]
        following = (ordered >> self._unsigned.type(behind)) & self._unsigned.type((1 << _BITS) - 1)
        return np.bincount(following.astype(np.intp), minlength=1 << _BITS)

    @property
    def _width(self) -> int:
        return 8 * self._kind.itemsize

    @property
    def _unsigned(self) -> np.dtype[Any]:
        return np.dtype(f"u{self._kind.itemsize}")
