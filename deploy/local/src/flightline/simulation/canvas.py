"""The raster that a scene is painted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Grid:
    """A north-up raster over the site; metres east and north of the site's origin."""

    west_m: float
    north_m: float
    """Outer corner of the north-western cell."""
    cell_m: float
    rows: int
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def area_m2(self) -> float:
        """The ground that the raster covers."""
        return self.rows * self.columns * self.cell_m**2

    def to_cells(self, east_north_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (column, row) of points (..., 2); the centre of the first cell is (0, 0)."""
        columns = (east_north_m[..., 0] - self.west_m) / self.cell_m - 0.5
        rows = (self.north_m - east_north_m[..., 1]) / self.cell_m - 0.5
        return np.stack([columns, rows], axis=-1)


class Window(NamedTuple):
    """A part of a canvas around a centre, and where its cells lie."""

    place: tuple[slice, slice]
    east_m: Floats32
    """(1, columns), from the window's centre."""
    north_m: Floats32
    """(rows, 1), from the window's centre."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A scene that is being painted."""

    grid: Grid
    heights: Floats32
    """Metres."""
    albedo: Bytes
    """(rows, columns, 3) RGB in even light."""
    texture: Floats32
    """Relative brightness, added to 1."""
    ground: NDArray[np.bool_]
    """False where a tree or a house stands."""

    def window(self, east_m: float, north_m: float, radius_m: float) -> Window | None:
        """Return the square of ``radius_m`` around a place, or ``None`` where it leaves the canvas."""
        column, row = self.grid.to_cells(np.array([east_m, north_m]))
        reach = int(np.ceil(radius_m / self.grid.cell_m)) + 1
        top, left = int(row) - reach, int(column) - reach
        bottom, right = int(row) + reach + 1, int(column) + reach + 1
        if top < 0 or left < 0 or bottom > self.grid.rows or right > self.grid.columns:
            return None
        east = (np.arange(left, right, dtype=np.float32) - np.float32(column)) * np.float32(self.grid.cell_m)
        north = (np.float32(row) - np.arange(top, bottom, dtype=np.float32)) * np.float32(self.grid.cell_m)
        return Window((slice(top, bottom), slice(left, right)), east[None, :], north[:, None])


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to see: heights and lit colours."""

    grid: Grid
    heights: Floats32
    """(rows, columns) metres above the site's origin."""
    colors: Bytes
    """(rows, columns, 3) RGB under the sun."""
    ground: NDArray[np.bool_]
    """(rows, columns): no tree or house."""
