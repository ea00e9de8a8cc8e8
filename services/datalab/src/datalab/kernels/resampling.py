"""One image brought onto another grid of pixels.

Where an output's pixels lie in the input is computed at nodes ``GRID_PX`` apart, and bilinear between them:
the nodes come closer together until that is true to ``MAP_ERROR_PX``. OpenCV then interpolates the values.
Positions count from 0 at the middle of the first pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

GRID_PX: Final = 128
FINEST_GRID_PX: Final = 4
MAP_ERROR_PX: Final = 5e-4
AFFINE_ERROR_PX: Final = 1e-6
LEAST_COVERED: Final = 0.5
"""Where less of what a value is made of is known, there is no value."""
_NOWHERE: Final = -1e6

Positions = NDArray[np.float64]
Mapping = Callable[[Positions, Positions], tuple[Positions, Positions]]
"""Where pixels (x, y) of the output lie in the input; NaN: nowhere."""
Kernel = Literal["linear", "lanczos"]
_KERNELS: Final = {"linear": (cv2.INTER_LINEAR, 1), "lanczos": (cv2.INTER_LANCZOS4, 4)}


@dataclass(frozen=True)
class PixelMap:
    """Where an output's pixels lie in an input, at nodes; beyond its last pixel, too."""

    x: Positions
    y: Positions
    spacing_px: int
    shape: tuple[int, int]
    """Of the output."""

    @cached_property
    def affine(self) -> NDArray[np.float64] | None:
        """Return the 2 x 3 matrix that says the same, if there is one."""
        rows, columns = np.indices(self.x.shape) * self.spacing_px
        known = np.column_stack([columns.ravel(), rows.ravel(), np.ones(self.x.size)])
        wanted = np.column_stack([self.x.ravel(), self.y.ravel()])
        if not np.isfinite(wanted).all():
            return None
        matrix = np.asarray(np.linalg.lstsq(known, wanted)[0], np.float64)
        found: NDArray[np.float64] = matrix.T
        return found if np.abs(known @ matrix - wanted).max() < AFFINE_ERROR_PX else None

    @cached_property
    def area(self) -> Positions:
        """Return how much of the input an output's pixel takes, in its pixels, at the nodes."""
        order: Literal[1, 2] = 2 if min(self.x.shape) > 2 else 1  # noqa: PLR2004 - it takes three
        (x_down, x_across), (y_down, y_across) = (
            np.gradient(nodes, self.spacing_px, edge_order=order) for nodes in (self.x, self.y)
        )
        area: Positions = np.abs(x_across * y_down - x_down * y_across)
        return area

    @property
    def steps(self) -> int:
        """Return how many whole pixels of the input one of the output spans."""
        area = np.nanmedian(self.area) if np.isfinite(self.area).any() else 1.0
        return max(1, round(float(np.sqrt(area))))

    def rows(self, start: int, stop: int) -> tuple[Positions, Positions]:
        """Return the least and the greatest x and y in the input of some rows: ``(x, y)`` pairs."""
        nodes = slice(start // self.spacing_px, (stop - 1) // self.spacing_px + 2)
        return _span(self.x[nodes]), _span(self.y[nodes])

    def binned(self, factor: int) -> PixelMap:
        """Return the map into an input whose pixels were made one of ``factor`` x ``factor``."""
        x, y = ((nodes + 0.5) / factor - 0.5 for nodes in (self.x, self.y))
        return PixelMap(x, y, self.spacing_px, self.shape)


def _span(nodes: Positions) -> Positions:
    known = nodes[np.isfinite(nodes)]
    return np.array([known.min(), known.max()]) if known.size else np.array([_NOWHERE, _NOWHERE])


def pixel_map(mapping: Mapping, shape: tuple[int, int]) -> PixelMap:
    """Return the map of an output of ``shape``, with its nodes as close together as is needed."""
    spacing_px = GRID_PX
    while spacing_px > min(shape) / 2 and spacing_px > FINEST_GRID_PX:  # three nodes show whether it bends
        spacing_px //= 2
    while True:
        found = _nodes(mapping, shape, spacing_px)
        if spacing_px <= FINEST_GRID_PX or _bend(found) <= MAP_ERROR_PX:
            return found
        spacing_px //= 2


def _nodes(mapping: Mapping, shape: tuple[int, int], spacing_px: int) -> PixelMap:
    counts = [-(-side // spacing_px) + 1 for side in shape]
    rows, columns = np.indices(counts, dtype=np.float64) * spacing_px
    x, y = mapping(columns.ravel(), rows.ravel())
    return PixelMap(x.reshape(counts), y.reshape(counts), spacing_px, shape)


def _bend(nodes: PixelMap) -> float:
    """Return how far bilinear positions can be from the truth, from second differences."""
    bends = [0.0]
    for positions in (nodes.x, nodes.y):
        across, down = (np.abs(np.diff(positions, 2, axis=axis)) for axis in (1, 0))
        bends.append(float(np.nanmax(across, initial=0.0) + np.nanmax(down, initial=0.0)) / 8)
    return max(bends)


@dataclass(frozen=True)
class Window:
    """Some rows of an image."""

    values: NDArray[np.float32]
    valid: NDArray[np.bool_] | None
    """Which of them are known; None: all. What is not known may be anything."""
    first_row: int
    shape: tuple[int, int]
    """Of the whole image."""


@dataclass(frozen=True)
class Resampled:
    """Rows of an output."""

    weighted: NDArray[np.float32]
    """Values times ``covered``; 0 where nothing is known."""
    covered: NDArray[np.float32] | None
    """How much is known of what each value is made of, 0 to 1; None: all of everything."""

    def values(self) -> NDArray[np.float32]:
        """Return the values, NaN where less than ``LEAST_COVERED`` is known."""
        if self.covered is None:
            return self.weighted
        with np.errstate(invalid="ignore", divide="ignore"):
            values: NDArray[np.float32] = self.weighted / self.covered
        np.copyto(values, np.nan, where=self.covered < LEAST_COVERED)
        return values


def window(pixels: NDArray[Any], mask: NDArray[np.bool_] | None, first_row: int, height: int) -> Window:
    """Return rows as they are resampled; what is masked (True: bad) or not finite is not known."""
    values = np.ascontiguousarray(pixels, np.float32)
    valid = np.isfinite(values)
    if mask is not None:
        np.greater(valid, mask, out=valid)
    if valid.all():
        return Window(values, None, first_row, (height, values.shape[1]))
    values = np.where(valid, values, np.float32(0))
    return Window(values, valid, first_row, (height, values.shape[1]))


def needed(pixels: PixelMap, rows: slice, height: int, kernel: Kernel = "linear") -> slice:
    """Return which rows of an input of ``height`` rows some rows of the output need; maybe none."""
    reach = _KERNELS[kernel][1] + 1
    low, high = pixels.rows(rows.start, rows.stop)[1]
    start = int(np.clip(np.floor(low) - reach, 0, height))
    return slice(start, max(start, int(np.clip(np.ceil(high) + reach + 1, 0, height))))


def resample(source: Window, pixels: PixelMap, rows: slice, kernel: Kernel = "linear") -> Resampled:
    """Return rows of the output. The sum over a star stays what it was: values follow the pixels' area.

    Args:
        source: The input's rows that are ``needed``, or more.
        pixels: Where the output's pixels lie.
        rows: Of the output.
        kernel: ``linear`` looks at 2 x 2 pixels, ``lanczos`` at 8 x 8.
    """
    if not source.values.size:
        nothing = np.zeros((rows.stop - rows.start, pixels.shape[1]), np.float32)
        return Resampled(nothing, nothing)
    where = _Where(pixels, rows, source.first_row)
    interpolated = _interpolation(source, where, kernel)
    weighted = interpolated(source.values)
    covered = None if source.valid is None else interpolated(source.valid.astype(np.float32))
    outside = _outside(source, where)
    if outside is not None:
        covered = np.ones_like(weighted) if covered is None else covered
        for one in (weighted, covered):
            np.copyto(one, 0, where=outside)
    _conserve(weighted, pixels, rows)
    return Resampled(weighted, covered)


@dataclass(frozen=True)
class _Where:
    """Some rows of an output, and where their pixels lie in an input's rows from one on."""

    pixels: PixelMap
    rows: slice
    first_row: int

    @cached_property
    def positions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return x and y of each pixel: not every way to resample needs them, and none needs them twice."""
        return positions(self.pixels, self.rows, self.first_row)


def _interpolation(
    source: Window, where: _Where, kernel: Kernel
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return what interpolates; beyond the edges, the last pixel goes on."""
    flag, edges = _KERNELS[kernel][0], cv2.BORDER_REPLICATE
    matrix, rows = where.pixels.affine, where.rows
    if matrix is not None and kernel == "linear":
        size = (where.pixels.shape[1], rows.stop - rows.start)
        moved = matrix.copy()
        moved[:, 2] += matrix[:, 1] * rows.start - (0, source.first_row)
        inverse = flag | cv2.WARP_INVERSE_MAP
        return lambda image: np.asarray(
            cv2.warpAffine(image, moved, size, flags=inverse, borderMode=edges), np.float32
        )
    x, y = where.positions
    return lambda image: np.asarray(cv2.remap(image, x, y, flag, borderMode=edges), np.float32)


def _outside(source: Window, where: _Where) -> NDArray[np.bool_] | None:
    """Return which of the output's pixels have their middle beyond the input's edges; None: none."""
    height, width = source.shape
    (left, right), (low, high) = where.pixels.rows(where.rows.start, where.rows.stop)
    edge = 0.5 + 1e-3  # positions are of 32 bits
    whole = np.isfinite(where.pixels.x).all() and left >= -edge and right <= width - 1 + edge
    if whole and low >= -edge and high <= height - 1 + edge:
        return None
    x, y = where.positions
    bottom = -edge - where.first_row
    outside: NDArray[np.bool_] = (x < -edge) | (x > width - 1 + edge)
    outside |= (y < bottom) | (y > bottom + height - 1 + 2 * edge)
    return outside


def _conserve(values: NDArray[np.float32], pixels: PixelMap, rows: slice) -> None:
    area = np.nan_to_num(pixels.area, nan=0.0)
    mean = float(area.mean())
    if np.ptp(area) > AFFINE_ERROR_PX * mean:
        values *= _between(area, pixels, rows)
    elif mean != 1:
        values *= np.float32(mean)


def positions(
    pixels: PixelMap, rows: slice, first_row: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x and y of rows of the output, y counted from ``first_row`` of the input."""
    x, y = (np.nan_to_num(nodes, nan=_NOWHERE) for nodes in (pixels.x, pixels.y))
    return _between(x, pixels, rows), _between(y - first_row, pixels, rows)


def _between(nodes: Positions, pixels: PixelMap, rows: slice) -> NDArray[np.float32]:
    spacing_px, width = pixels.spacing_px, pixels.shape[1]
    first = rows.start // spacing_px
    column, part = np.divmod(np.arange(width), spacing_px)
    part = part / spacing_px
    few = nodes[first : (rows.stop - 1) // spacing_px + 2]
    few = few[:, column] * (1 - part) + few[:, column + 1] * part
    base, step = few[:-1].astype(np.float32), np.diff(few, axis=0).astype(np.float32)
    found = np.empty((rows.stop - rows.start, width), np.float32)
    for index in range(len(base)):
        start = max(rows.start, (first + index) * spacing_px)
        stop = min(rows.stop, (first + index + 1) * spacing_px)
        here = found[start - rows.start : stop - rows.start]
        down = (np.arange(start, stop, dtype=np.float32) / spacing_px) % 1
        np.multiply(down[:, None], step[index], out=here)
        here += base[index]
    return found


def binned(source: Window, factor: int) -> Window:
    """Return means of ``factor`` x ``factor`` pixels, for an output of larger pixels.

    ``source`` begins at a multiple of ``factor``; pixels that are left over at the end are unknown.
    """
    rows, columns = (-(-side // factor) for side in source.values.shape)
    padding = [(0, rows * factor - source.values.shape[0]), (0, columns * factor - source.values.shape[1])]
    valid = np.ones(source.values.shape, np.bool_) if source.valid is None else source.valid
    blocks = (rows, factor, columns, factor)
    counts = np.pad(valid, padding).reshape(blocks).sum((1, 3), dtype=np.float32)
    sums = np.pad(source.values, padding).reshape(blocks).sum((1, 3), dtype=np.float32)
    enough = counts >= LEAST_COVERED * factor**2
    values = np.divide(sums, counts, out=np.zeros_like(sums), where=enough)
    shape = (-(-source.shape[0] // factor), -(-source.shape[1] // factor))
    return Window(values, None if enough.all() else enough, source.first_row // factor, shape)
