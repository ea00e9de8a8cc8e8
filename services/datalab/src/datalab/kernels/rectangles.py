"""Which part of a grid several outlines cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_ROUNDING_PX: Final = 1e-3


@dataclass(frozen=True)
class Box:
    """Pixels from ``left``, ``bottom`` up to but without ``right``, ``top``."""

    left: int
    bottom: int
    right: int
    top: int

    @property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns."""
        return self.top - self.bottom, self.right - self.left


def covered_columns(
    x: NDArray[np.float64], y: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each row of a grid its first column within an outline, and the one after its last.

    Args:
        x: Of the outline's corners, around it; its form is convex.
        y: Beside ``x``.
        shape: Of the grid. A row outside has its first column after its last.
    """
    height, width = shape
    low, high = np.full(height, np.inf), np.full(height, -np.inf)
    for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
        start, stop = sorted((y0, y1))
        first = max(0, int(np.ceil(start - _ROUNDING_PX)))
        last = min(height - 1, int(np.floor(stop + _ROUNDING_PX)))
        if first > last:
            continue
        rows = np.arange(first, last + 1)
        part = np.clip((rows - y0) / (y1 - y0), 0, 1) if y1 != y0 else np.array([0.0])
        crossing = x0 + part * (x1 - x0)
        ends = (crossing, crossing) if y1 != y0 else (min(x0, x1), max(x0, x1))
        low[rows], high[rows] = np.minimum(low[rows], ends[0]), np.maximum(high[rows], ends[1])
    return _columns(np.ceil(low - _ROUNDING_PX), width), _columns(np.floor(high + _ROUNDING_PX) + 1, width)


def _columns(edges: NDArray[Any], width: int) -> NDArray[np.int64]:
    columns: NDArray[np.int64] = np.clip(edges, 0, width).astype(np.int64)
    return columns


def largest_box(first: NDArray[np.int64], after: NDArray[np.int64]) -> Box | None:
    """Return the largest box of which each row lies between its ``first`` column and the one ``after``."""
    best, most = None, 0
    rows = np.flatnonzero(after > first)
    end = int(rows[-1]) + 1 if rows.size else 0
    widest = int((after - first).max(initial=0))
    for bottom in rows.tolist():
        if (end - bottom) * widest <= most:
            break
        left = np.maximum.accumulate(first[bottom:end])
        right = np.minimum.accumulate(after[bottom:end])
        sizes = (right - left) * np.arange(1, len(left) + 1)
        index = int(sizes.argmax())
        if sizes[index] > most:
            most = int(sizes[index])
            best = Box(int(left[index]), bottom, int(right[index]), bottom + index + 1)
    return best
