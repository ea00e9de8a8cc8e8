"""A camera over a height field: where each pixel's ray meets the scene.

A pixel sees the first thing on its ray, so that roofs and crowns hide what is behind them. The meeting point
is exact to a fiftieth of a scene cell, save that an obstacle thinner than a cell and a half can be missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from flightline.simulation.canvas import Bytes, Floats32, Grid, Scene
from odm_gateway.orthophoto.models import Floats, Lens, Pose

_STEP_CELLS = 1.5
_BISECTIONS = 5
_TILE_PX = 64
_BLOCK_CELLS = 16


def distort(lens: Lens, rays: Floats) -> Floats:
    """Return where the lens images ``rays`` (..., 2: x/z, y/z), in focal lengths from the centre."""
    square = (rays**2).sum(axis=-1, keepdims=True)
    return np.asarray(rays * (1 + square * (lens.k1 + square * lens.k2)))


def undistort(lens: Lens, seen: Floats) -> Floats:
    """Invert ``distort`` by Newton's method on the radius."""
    radius_seen = np.linalg.norm(seen, axis=-1)
    radius = radius_seen.copy()
    for _ in range(6):
        square = radius**2
        error = radius * (1 + square * (lens.k1 + square * lens.k2)) - radius_seen
        radius -= error / (1 + square * (3 * lens.k1 + 5 * square * lens.k2))
    ratio = np.divide(radius, radius_seen, out=np.ones_like(radius), where=radius_seen > 0)
    return np.asarray(seen * ratio[..., None])


@dataclass(frozen=True, slots=True)
class Camera:
    """A lens before a sensor of ``width`` by ``height`` pixels."""

    lens: Lens
    width: int
    height: int

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return self.lens.focal * max(self.width, self.height)

    def project(self, pose: Pose, points: Floats) -> Floats:
        """Return the pixel coordinates (n, 2) of world ``points`` (n, 3) that lie before the camera."""
        in_camera = (points - pose.position) @ pose.rotation.T
        seen = distort(self.lens, in_camera[:, :2] / in_camera[:, 2:])
        return np.asarray(seen * self.focal_px + np.array([self.width, self.height]) / 2)

    def rays(self, pixels: Floats) -> Floats:
        """Return the directions (..., 3) in the camera's frame, z = 1, of pixel coordinates (..., 2)."""
        seen = (pixels - np.array([self.width, self.height]) / 2) / self.focal_px
        rays = undistort(self.lens, seen)
        return np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1)

    def pixel_rays(self) -> Floats:
        """Return the rays (height, width, 3) through the pixels' centres."""
        columns, rows = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        return self.rays(np.stack([columns, rows], axis=-1))


class Relief:
    """The heights of a scene, with the extremes of every block of cells to shorten the march."""

    def __init__(self, scene: Scene) -> None:
        self.grid: Grid = scene.grid
        self.heights = scene.heights
        self._highest = _blocks(scene.heights, np.maximum)
        self._lowest = _blocks(scene.heights, np.minimum)

    def span(self, low: Floats, high: Floats) -> tuple[float, float]:
        """Return the lowest and highest of the cells between two corners (column, row)."""
        limit = np.array(self._highest.shape[::-1])
        first = np.clip(np.floor(low / _BLOCK_CELLS).astype(int) - 1, 0, limit - 1)
        last = np.clip(np.floor(high / _BLOCK_CELLS).astype(int) + 2, first + 1, limit)
        place = (slice(first[1], last[1]), slice(first[0], last[0]))
        return float(self._lowest[place].min()), float(self._highest[place].max())

    def at(self, columns: Floats32, rows: Floats32) -> Floats32:
        """Return the heights at cell coordinates, bilinear."""
        return np.asarray(
            cv2.remap(self.heights, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )


def _blocks(heights: Floats32, extreme: np.ufunc) -> Floats32:
    rows = np.arange(0, heights.shape[0], _BLOCK_CELLS)
    columns = np.arange(0, heights.shape[1], _BLOCK_CELLS)
    return np.asarray(extreme.reduceat(extreme.reduceat(heights, columns, axis=1), rows, axis=0))


@dataclass(frozen=True, slots=True)
class _Bundle:
    """The rays of a photo in cell coordinates, as functions of the height z above the site's origin."""

    column: float
    row: float
    """Where the camera is."""
    height_m: float
    column_slope: Floats32
    row_slope: Floats32
    """(height, width) cells per metre of descent."""

    def at(
        self, z: Floats32 | float, place: tuple[slice, slice] = (slice(None), slice(None))
    ) -> list[Floats32]:
        """Return the columns and rows that rays reach at height ``z``."""
        descent = np.float32(self.height_m) - np.asarray(z, np.float32)
        return [
            np.float32(self.column) + descent * self.column_slope[place],
            np.float32(self.row) + descent * self.row_slope[place],
        ]


def first_hits(relief: Relief, pose: Pose, rays: Floats) -> tuple[Floats32, Floats32, Floats32]:
    """Return column, row and height, each (height, width), of what the ``rays`` of a photo meet first."""
    bundle = _to_bundle(relief.grid, pose, rays)
    height, width, _ = rays.shape
    above = np.empty((height, width), np.float32)
    gap = np.empty_like(above)
    for top in range(0, height, _TILE_PX):
        for left in range(0, width, _TILE_PX):
            place = (slice(top, top + _TILE_PX), slice(left, left + _TILE_PX))
            above[place], gap[place] = _march(relief, bundle, place)
    for _ in range(_BISECTIONS):
        gap *= np.float32(0.5)
        middle = above - gap
        free = relief.at(*bundle.at(middle)) < middle
        np.copyto(above, middle, where=free)
    above -= gap / 2
    columns, rows = bundle.at(above)
    return columns, rows, above


def _to_bundle(grid: Grid, pose: Pose, rays: Floats) -> _Bundle:
    directions = rays @ pose.rotation
    slopes = directions[..., :2] / -directions[..., 2:] / grid.cell_m
    column, row = grid.to_cells(pose.position[:2])
    return _Bundle(
        float(column),
        float(row),
        float(pose.position[2]),
        np.ascontiguousarray(slopes[..., 0], np.float32),
        np.ascontiguousarray(-slopes[..., 1], np.float32),
    )


def _march(relief: Relief, bundle: _Bundle, place: tuple[slice, slice]) -> tuple[Floats32, float]:
    """Step down all rays of a tile; return the last height above the scene, and the step's height."""
    low, high = _height_span(relief, bundle, place)
    slope = max(float(np.abs(side[place]).max()) for side in (bundle.column_slope, bundle.row_slope))
    steps = max(int(np.ceil((high - low) * slope / _STEP_CELLS)), 1)
    drop = (high - low) / steps
    columns, rows = bundle.at(high, place)
    column_step, row_step = (
        np.float32(drop) * side[place] for side in (bundle.column_slope, bundle.row_slope)
    )
    free = np.ones(columns.shape, np.bool_)
    passed = np.zeros(columns.shape, np.float32)
    for step in range(1, steps):
        columns += column_step
        rows += row_step
        free &= relief.at(columns, rows) < high - step * drop
        if not free.any():
            break
        passed += free
    return np.float32(high) - passed * np.float32(drop), drop


def _height_span(relief: Relief, bundle: _Bundle, place: tuple[slice, slice]) -> tuple[float, float]:
    """Return heights between which all rays of a tile meet the scene."""
    everywhere = np.array([0, 0]), np.array(relief.heights.shape[::-1])
    low, high = relief.span(*everywhere)
    for _ in range(3):
        ends = np.array([[(side.min(), side.max()) for side in bundle.at(z, place)] for z in (low, high)])
        low, high = relief.span(ends[..., 0].min(axis=0), ends[..., 1].max(axis=0))
    return low - 0.01, high + 0.01


def sample_colors(scene: Scene, columns: Floats32, rows: Floats32) -> Bytes:
    """Return the scene's colours (height, width, 3) at cell coordinates."""
    return np.asarray(
        cv2.remap(scene.colors, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )
