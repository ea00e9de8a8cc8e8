"""Fields, a road and stones: what lies on the ground."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from flightline.simulation.canvas import Canvas, Color
from flightline.simulation.noise import value_noise

_SHIFT = 4
"""Fractional bits of the coordinates that OpenCV draws with."""
_ROAD_WIDTH_M = 6.0


class Crop(NamedTuple):
    """How a kind of field looks."""

    color: Color
    row_spacing_m: float
    row_contrast: float


_CROPS = (
    Crop((196, 178, 112), 0.9, 0.10),
    Crop((114, 130, 82), 1.6, 0.14),
    Crop((134, 106, 80), 0.7, 0.16),
    Crop((172, 152, 104), 2.2, 0.08),
    Crop((98, 116, 74), 3.0, 0.06),
    Crop((142, 132, 92), 1.2, 0.10),
)


class Plot(NamedTuple):
    """A rectangle in the rotated frame of the parcels, metres."""

    u0: float
    u1: float
    v0: float
    v1: float

    def halves(self, rng: np.random.Generator) -> tuple[Plot, Plot]:
        """Cut across the longer side, somewhere near the middle."""
        share = rng.uniform(0.35, 0.65)
        if self.u1 - self.u0 > self.v1 - self.v0:
            cut = self.u0 + share * (self.u1 - self.u0)
            return self._replace(u1=cut), self._replace(u0=cut)
        cut = self.v0 + share * (self.v1 - self.v0)
        return self._replace(v1=cut), self._replace(v0=cut)

    @property
    def area_m2(self) -> float:
        """Its size."""
        return (self.u1 - self.u0) * (self.v1 - self.v0)

    def corners(self, angle: float, center: NDArray[np.float64], margin_m: float) -> NDArray[np.float64]:
        """Return the four corners (4, 2), east and north, less a margin."""
        u0, u1, v0, v1 = self.u0 + margin_m, self.u1 - margin_m, self.v0 + margin_m, self.v1 - margin_m
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return np.asarray(np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]]) @ turn + center)


def _split(plot: Plot, rng: np.random.Generator) -> list[Plot]:
    if plot.area_m2 < rng.uniform(500, 2500):
        return [plot]
    return [part for half in plot.halves(rng) for part in _split(half, rng)]


def paint_fields(canvas: Canvas, rng: np.random.Generator) -> None:
    """Cover the ground with fields, each with its crop and its rows."""
    grid = canvas.grid
    extent = np.array([grid.columns, grid.rows]) * grid.cell_m
    center = np.array([grid.west_m, grid.north_m]) + extent * [0.5, -0.5]
    half = float(np.hypot(*extent)) / 2
    angle = rng.uniform(0, np.pi / 2)
    canvas.albedo[:] = (114, 120, 82)
    waver = value_noise(rng, grid.shape, 9 / grid.cell_m)
    for plot in _split(Plot(-half, half, -half, half), rng):
        crop = _CROPS[rng.integers(len(_CROPS))]
        tint = rng.normal(0, 4, 3) + rng.normal(0, 10)
        corners = grid.to_cells(plot.corners(angle, center, margin_m=0.4))
        row_angle = angle + rng.choice([0, np.pi / 2]) + rng.normal(0, 0.03)
        _paint_field(canvas, corners, crop, tint, row_angle, waver)


def _paint_field(
    canvas: Canvas,
    corners: NDArray[np.float64],
    crop: Crop,
    tint: NDArray[np.float64],
    row_angle: float,
    waver: NDArray[np.float32],
) -> None:
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, [canvas.grid.columns, canvas.grid.rows])
    if (high <= low).any():
        return
    place = (slice(low[1], high[1]), slice(low[0], high[0]))
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillConvexPoly(mask, _fixed_point(corners - low), 1, cv2.LINE_8, _SHIFT)
    inside = mask.astype(bool)
    canvas.albedo[place][inside] = np.clip(np.array(crop.color) + tint, 20, 235)
    wave = _rows(inside.shape, row_angle, crop.row_spacing_m / canvas.grid.cell_m, waver[place])
    canvas.texture[place] += wave * (inside * np.float32(crop.row_contrast))


def _rows(
    shape: tuple[int, int], angle: float, spacing_px: float, waver: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return waves from -1 to 1; ``waver`` bends them, so that no two places look alike."""
    pace = 2 * np.pi / spacing_px
    along = np.arange(shape[1], dtype=np.float32) * np.float32(pace * np.cos(angle))
    down = np.arange(shape[0], dtype=np.float32) * np.float32(pace * np.sin(angle))
    return np.sin(along[None, :] + down[:, None] + waver)


def _fixed_point(cells: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round(cells * (1 << _SHIFT)).astype(np.int32)


def road_distance_m(east_north_m: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far points (n, 2) are from the road's centre ``line`` (m, 2)."""
    return np.asarray(np.linalg.norm(east_north_m[:, None] - line[None], axis=-1).min(axis=1))


def paint_road(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float64]:
    """Lay a winding road with a dashed middle; return its centre line (n, 2), metres, a point per metre."""
    grid = canvas.grid
    width_m, height_m = grid.columns * grid.cell_m, grid.rows * grid.cell_m
    east = np.arange(-5.0, width_m + 5.0)
    start, slope, phase = rng.uniform(0.3, 0.6), rng.uniform(-0.25, 0.25), rng.uniform(0, 6)
    north = height_m * (start - 1) + slope * (east - width_m / 2) + 6 * np.sin(east / 24 + phase)
    line = np.column_stack([east + grid.west_m, north + grid.north_m])
    cells = _fixed_point(grid.to_cells(line))
    mask = np.zeros(grid.shape, np.uint8)
    _draw_lines(mask, [cells], 1, _ROAD_WIDTH_M / grid.cell_m)
    asphalt = mask.astype(bool)
    canvas.albedo[asphalt] = (104, 103, 106)
    canvas.texture[asphalt] *= np.float32(0.45)
    dashes = [cells[start : start + 3] for start in range(0, len(cells) - 3, 6)]
    _draw_lines(canvas.albedo, dashes, (222, 220, 212), 0.15 / grid.cell_m)
    return line


def _draw_lines(
    image: NDArray[np.uint8], lines: list[NDArray[np.int32]], color: Color | int, width_px: float
) -> None:
    closed = False
    cv2.polylines(image, lines, closed, color, max(round(width_px), 1), cv2.LINE_8, _SHIFT)


def scatter_stones(canvas: Canvas, rng: np.random.Generator) -> None:
    """Throw in stones, tufts and puddles of every size and hue, none like another."""
    grid = canvas.grid
    count = int(grid.area_m2 * 0.35)
    centers = rng.uniform([0, 0], [grid.columns, grid.rows], (count, 2))
    radii_px = np.clip(rng.lognormal(-1.8, 0.6, count), 0.06, 1.0) / grid.cell_m
    colors = np.clip(rng.normal(130, 52, (count, 1)) + rng.normal([6, 0, -12], 7, (count, 3)), 15, 245)
    spread = rng.uniform(0.55, 1.3, (count, 9))
    turns = np.sort(rng.uniform(0, 2 * np.pi, (count, 9)), axis=1)
    rays = np.stack([np.cos(turns), np.sin(turns)], axis=-1) * (spread * radii_px[:, None])[..., None]
    outlines = _fixed_point(centers[:, None] + rays)
    for outline, color in zip(outlines, colors.tolist(), strict=True):
        cv2.fillPoly(canvas.albedo, [outline], color, cv2.LINE_8, _SHIFT)
