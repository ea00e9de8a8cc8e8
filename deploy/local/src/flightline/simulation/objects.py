"""Houses and trees: what stands on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flightline.simulation.canvas import Bytes, Canvas, Color, Floats32, Mask, Window
from flightline.simulation.fields import road_distance_m
from flightline.simulation.noise import fractal_noise

_ROOFS: tuple[Color, ...] = ((164, 82, 62), (118, 112, 112), (150, 104, 78), (92, 96, 106), (184, 120, 92))
_WALL: Color = (206, 200, 188)
_M2_PER_HOUSE = 1600.0
_M2_PER_TREE = 260.0
_HOUSE_TO_ROAD_M = 11.0
_TREE_TO_ROAD_M = 6.0
_TREE_TO_HOUSE_M = 11.0


@dataclass(frozen=True, slots=True)
class _Footprint:
    """A window of the canvas in the frame of a house: metres from its centre along and across the ridge."""

    along: Floats32
    across: Floats32

    @classmethod
    def of(cls, around: Window, angle: float) -> _Footprint:
        """Turn the window's axes by ``angle``."""
        along = around.east_m * np.cos(angle) + around.north_m * np.sin(angle)
        across = around.north_m * np.cos(angle) - around.east_m * np.sin(angle)
        return cls(along, across)

    def box(self, half_length: float, half_width: float, center: Sequence[float] = (0.0, 0.0)) -> Mask:
        """Return which cells lie in a rectangle."""
        inside = np.abs(self.along - center[0]) < half_length
        return np.asarray(inside & (np.abs(self.across - center[1]) < half_width))


def build_houses(canvas: Canvas, rng: np.random.Generator, road: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put up houses beside the road and off it; return their places (n, 2)."""
    sites = _scattered(canvas, rng, _M2_PER_HOUSE, apart_m=16.0)
    sites = sites[road_distance_m(sites, road) > _HOUSE_TO_ROAD_M]
    for east, north in sites:
        half_length, half_width = rng.uniform([4.0, 3.0], [7.0, 4.5])
        around = canvas.window(east, north, float(np.hypot(half_length, half_width)) + 1.0)
        if around is not None:
            footprint = _Footprint.of(around, rng.uniform(0, np.pi))
            _build_house(canvas, around.place, footprint, half_length, half_width, rng)
    return sites


def _build_house(
    canvas: Canvas,
    place: tuple[slice, slice],
    footprint: _Footprint,
    half_length: float,
    half_width: float,
    rng: np.random.Generator,
) -> None:
    heights, albedo, texture = canvas.heights[place], canvas.albedo[place], canvas.texture[place]
    rim = 1.5 * canvas.grid.cell_m
    base = footprint.box(half_length + rim, half_width + rim)
    roof = footprint.box(half_length, half_width)
    floor = float(np.median(heights[base]))
    rise = rng.uniform(1.2, 2.2)
    top = floor + rng.uniform(2.8, 5.0) + rise * (1 - np.abs(footprint.across) / half_width)
    albedo[base] = _WALL
    heights[roof] = top[roof]
    albedo[roof] = np.clip(np.array(_ROOFS[rng.integers(len(_ROOFS))]) + rng.normal(0, 8, 3), 20, 235)
    courses = np.sin(np.abs(footprint.across) * np.float32(2 * np.pi / 0.33))
    columns = np.sin(footprint.along * np.float32(2 * np.pi / 0.9))
    texture[roof] = (0.8 * texture + 0.06 * courses + 0.04 * columns)[roof]
    canvas.ground[place][base] = False
    _add_roof_details(albedo, heights, footprint, half_length, half_width, rng)


def _add_roof_details(
    albedo: Bytes,
    heights: Floats32,
    footprint: _Footprint,
    half_length: float,
    half_width: float,
    rng: np.random.Generator,
) -> None:
    """Add the ridge, skylights and a chimney."""
    albedo[footprint.box(half_length, 0.12)] = (70, 66, 66)
    for _ in range(rng.integers(1, 5)):
        skylight = (rng.uniform(-0.8, 0.8, 2) * [half_length, half_width]).tolist()
        albedo[footprint.box(0.45, 0.3, skylight)] = (168, 190, 206)
    place = (rng.uniform([-0.6, 0.15], [0.6, 0.4]) * [half_length, half_width]).tolist()
    chimney = footprint.box(0.35, 0.35, place)
    heights[chimney] += np.float32(1.1)
    albedo[chimney] = (128, 84, 72)


def plant_trees(
    canvas: Canvas, rng: np.random.Generator, road: NDArray[np.float64], houses: NDArray[np.float64]
) -> None:
    """Plant trees of every size, clear of the road and the houses."""
    sites = _scattered(canvas, rng, _M2_PER_TREE, apart_m=2.5)
    clear = road_distance_m(sites, road) > _TREE_TO_ROAD_M
    if len(houses):
        clear &= np.linalg.norm(sites[:, None] - houses[None], axis=-1).min(axis=1) > _TREE_TO_HOUSE_M
    for east, north in sites[clear]:
        radius_m = float(rng.uniform(1.0, 3.6))
        around = canvas.window(east, north, 1.3 * radius_m)
        if around is not None:
            _plant_tree(canvas, around, rng, radius_m)


def _plant_tree(canvas: Canvas, around: Window, rng: np.random.Generator, radius_m: float) -> None:
    cell_m = canvas.grid.cell_m
    shape = (around.north_m.shape[0], around.east_m.shape[1])
    leaves = fractal_noise(rng, shape, {0.9 / cell_m: 0.10, 0.4 / cell_m: 0.07, 0.16 / cell_m: 0.04})
    distance = np.hypot(around.east_m, around.north_m) / np.float32(radius_m) + leaves
    crown = distance < 1
    heights = canvas.heights[around.place]
    dome = np.sqrt(np.clip(1 - distance**2, 0, 1)) * np.float32(radius_m * rng.uniform(1.0, 1.6))
    foot = float(np.median(heights)) + 0.35 * radius_m
    crown &= dome + foot > heights
    heights[crown] = (dome + foot)[crown]
    green = np.array((70, 88, 52)) + rng.normal(0, 6, 3) + rng.normal(0, 8)
    canvas.albedo[around.place][crown] = np.clip(green, 15, 200)
    canvas.texture[around.place][crown] += 1.5 * leaves[crown]
    canvas.ground[around.place][crown] = False


def _scattered(
    canvas: Canvas, rng: np.random.Generator, m2_each: float, apart_m: float
) -> NDArray[np.float64]:
    """Return random places (n, 2) at least ``apart_m`` from each other."""
    grid = canvas.grid
    count = max(int(grid.area_m2 / m2_each), 2)
    corner = np.array([grid.west_m, grid.north_m])
    places = corner + rng.uniform(0, 1, (count, 2)) * [grid.columns * grid.cell_m, -grid.rows * grid.cell_m]
    kept: list[NDArray[np.float64]] = []
    for place in places:
        if all(float(np.hypot(*(place - other))) > apart_m for other in kept):
            kept.append(place)
    return np.array(kept)
