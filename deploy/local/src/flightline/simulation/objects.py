"""Houses and trees: what stands on the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flightline.simulation.canvas import Canvas, Color, Window
from flightline.simulation.fields import road_distance_m
from flightline.simulation.noise import fractal_noise

_ROOFS: tuple[Color, ...] = ((164, 82, 62), (118, 112, 112), (150, 104, 78), (92, 96, 106), (184, 120, 92))
_WALL: Color = (206, 200, 188)
_M2_PER_HOUSE = 1600.0
_M2_PER_TREE = 260.0


def build_houses(canvas: Canvas, rng: np.random.Generator, road: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put up houses beside the road and off it; return their places (n, 2)."""
    sites = _scattered(canvas, rng, _M2_PER_HOUSE, apart_m=16.0)
    sites = sites[road_distance_m(sites, road) > 11.0]
    for east, north in sites:
        size = rng.uniform([4.0, 3.0], [7.0, 4.5])
        around = canvas.window(east, north, float(np.hypot(*size)) + 1.0)
        if around is not None:
            _build_house(canvas, around, rng, size, rng.uniform(0, np.pi))
    return sites


def _build_house(
    canvas: Canvas, around: Window, rng: np.random.Generator, size: NDArray[np.float64], angle: float
) -> None:
    along = around.east_m * np.cos(angle) + around.north_m * np.sin(angle)
    across = around.north_m * np.cos(angle) - around.east_m * np.sin(angle)
    half_length, half_width = size
    cell_m = canvas.grid.cell_m
    foot = np.maximum(np.abs(along) - half_length, np.abs(across) - half_width) < 1.5 * cell_m
    roof = (np.abs(along) < half_length) & (np.abs(across) < half_width)
    heights, albedo, texture = (layer[around.place] for layer in (canvas.heights, canvas.albedo, canvas.texture))
    floor = float(np.median(heights[foot]))
    rise = rng.uniform(1.2, 2.2)
    top = floor + rng.uniform(2.8, 5.0) + rise * (1 - np.abs(across) / half_width)
    albedo[foot] = _WALL
    heights[roof] = top[roof]
    albedo[roof] = np.clip(np.array(_ROOFS[rng.integers(len(_ROOFS))]) + rng.normal(0, 8, 3), 20, 235)
    tiles = 0.06 * np.sin(np.abs(across) * 2 * np.pi / 0.33) + 0.04 * np.sin(along * 2 * np.pi / 0.9)
    texture[roof] = 0.8 * texture[roof] + tiles[roof]
    canvas.ground[around.place][foot] = False
    _add_roof_details(albedo, heights, along, across, rng, size)


def _add_roof_details(
    albedo: NDArray[np.uint8],
    heights: NDArray[np.float32],
    along: NDArray[np.float32],
    across: NDArray[np.float32],
    rng: np.random.Generator,
    size: NDArray[np.float64],
) -> None:
    """Add the ridge, skylights and a chimney."""
    half_length, half_width = size
    albedo[(np.abs(across) < 0.12) & (np.abs(along) < half_length)] = (70, 66, 66)
    for _ in range(rng.integers(1, 5)):
        place = rng.uniform(-0.8, 0.8, 2) * size
        pane = (np.abs(along - place[0]) < 0.45) & (np.abs(across - place[1]) < 0.3)
        albedo[pane] = (168, 190, 206)
    place = rng.uniform(-0.6, 0.6) * half_length, rng.uniform(0.15, 0.4) * half_width
    chimney = (np.abs(along - place[0]) < 0.35) & (np.abs(across - place[1]) < 0.35)
    heights[chimney] += np.float32(1.1)
    albedo[chimney] = (128, 84, 72)


def plant_trees(
    canvas: Canvas, rng: np.random.Generator, road: NDArray[np.float64], houses: NDArray[np.float64]
) -> None:
    """Plant trees of every size, clear of the road and the houses."""
    sites = _scattered(canvas, rng, _M2_PER_TREE, apart_m=2.5)
    clear = road_distance_m(sites, road) > 6.0  # noqa: PLR2004 - the road's width
    if len(houses):
        clear &= np.linalg.norm(sites[:, None] - houses[None], axis=-1).min(axis=1) > 11.0  # noqa: PLR2004
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
    green = np.array((62, 88, 40)) + rng.normal(0, 9, 3) + rng.normal(0, 8)
    canvas.albedo[around.place][crown] = np.clip(green, 15, 200)
    canvas.texture[around.place][crown] += 1.5 * leaves[crown]
    canvas.ground[around.place][crown] = False


def _scattered(canvas: Canvas, rng: np.random.Generator, m2_each: float, apart_m: float) -> NDArray[np.float64]:
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
