"""Linear interpolation of scattered heights on a grid: Delaunay triangles drawn row by row.

SciPy's own interpolator inverts a matrix per triangle through LAPACK, whose threads make it many times slower
on a busy machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.spatial import Delaunay

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .models import Floats

_AT_ONCE: Final = 50_000
_EDGE: Final = 1e-6
"""Cells; a centre this near to an edge belongs to both sides, so that rounding leaves no holes."""


def interpolate_linear(columns: Floats, rows: Floats, heights: Floats, shape: tuple[int, int]) -> Floats:
    """Return heights at the cell centres of a grid, NaN outside the points' convex hull.

    Args:
        columns: (points,) in cells; the first cell's centre is at 0.
        rows: (points,) in cells, likewise.
        heights: (points,).
        shape: Rows and columns of the grid.

    Raises:
        scipy.spatial.QhullError: The points lie on one line.
    """
    places = np.column_stack([columns, rows])
    corners = Delaunay(places).simplices
    grid = np.full(shape, np.nan)
    for start in range(0, len(corners), _AT_ONCE):
        chunk = corners[start : start + _AT_ONCE]
        _draw(places[chunk], heights[chunk], grid)
    return grid


def _draw(corners: Floats, heights: Floats, grid: Floats) -> None:
    """Set the cells that lie in triangles ``corners`` (n, 3, 2) with ``heights`` (n, 3)."""
    spans = _row_spans(corners, grid.shape)
    count = spans.end - spans.start
    triangle = np.repeat(spans.triangle, count)
    row = np.repeat(spans.row, count)
    column = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - spans.start, count)
    slope_x, slope_y = _slopes(corners, heights)
    origin = corners[triangle, 0]
    grid[row, column] = (
        heights[triangle, 0]
        + slope_x[triangle] * (column - origin[:, 0])
        + slope_y[triangle] * (row - origin[:, 1])
    )


@dataclass(frozen=True, slots=True)
class _Spans:
    """Pieces of grid rows inside triangles."""

    triangle: NDArray[np.int64]
    row: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    """One past the last column."""


def _row_spans(corners: Floats, shape: tuple[int, ...]) -> _Spans:
    top = np.clip(np.ceil(corners[:, :, 1].min(axis=1) - _EDGE), 0, shape[0]).astype(int)
    bottom = np.clip(np.floor(corners[:, :, 1].max(axis=1) + _EDGE) + 1, top, shape[0]).astype(int)
    count = bottom - top
    triangle = np.repeat(np.arange(len(corners)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - top, count)
    left, right = _crossings(corners[triangle], row)
    start = np.clip(np.ceil(left - _EDGE), 0, shape[1]).astype(int)
    end = np.clip(np.floor(right + _EDGE) + 1, start, shape[1]).astype(int)
    return _Spans(triangle, row, start, end)


def _crossings(corners: Floats, row: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return where the line ``row`` enters and leaves each triangle."""
    begin, end = corners, np.roll(corners, -1, axis=1)
    rise = end[:, :, 1] - begin[:, :, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (row[:, None] - begin[:, :, 1]) / rise
    crosses = (np.abs(rise) > 0) & (share >= -_EDGE) & (share <= 1 + _EDGE)
    at = begin[:, :, 0] + np.where(crosses, share, 0) * (end[:, :, 0] - begin[:, :, 0])
    return np.where(crosses, at, np.inf).min(axis=1), np.where(crosses, at, -np.inf).max(axis=1)


def _slopes(corners: Floats, heights: Floats) -> tuple[Floats, Floats]:
    """Return the rise of each triangle's plane per column and per row."""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    rise_one, rise_two = heights[:, 1] - heights[:, 0], heights[:, 2] - heights[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    area = np.where(np.abs(area) > 1e-12, area, np.inf)  # noqa: PLR2004 - flat slivers hold no cell of their own
    return (
        (rise_one * two[:, 1] - rise_two * one[:, 1]) / area,
        (rise_two * one[:, 0] - rise_one * two[:, 0]) / area,
    )
