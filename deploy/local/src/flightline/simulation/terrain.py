"""A made-up piece of country, seeded: hills, fields, a road, houses and trees under the sun."""

from __future__ import annotations

import cv2
import numpy as np

from flightline.simulation.canvas import Bytes, Canvas, Floats32, Grid, Scene
from flightline.simulation.fields import paint_fields, paint_road, scatter_stones
from flightline.simulation.light import Sun, sunlight
from flightline.simulation.noise import fractal_noise, value_noise
from flightline.simulation.objects import build_houses, plant_trees

_HILLS_M = {90.0: 0.9, 45.0: 0.45, 20.0: 0.2, 9.0: 0.09, 4.0: 0.04}
"""Standard deviation of the ground by wavelength, both in metres."""
_TEXTURE = {400.0: 0.03, 128.0: 0.04, 48.0: 0.04, 20.0: 0.05, 9.0: 0.06, 4.0: 0.07, 2.0: 0.07, 1.0: 0.05}
"""Contrast by wavelength in cells, down to the single cell: rows alone would repeat themselves."""
_TERRACE_M = 2.0


def lowest_ground_m(relief: float) -> float:
    """Return a height that the ground stays above, metres from the site's origin."""
    return -4.5 * abs(relief)


def build_scene(grid: Grid, *, seed: int, relief: float = 1.0, softness_px: float = 0.0) -> Scene:
    """Return a scene over ``grid``; the same seed and grid give the same scene.

    Args:
        grid: What to cover. A cell somewhat finer than the photos' ground pixel gives them full sharpness.
        seed: Where chance starts.
        relief: Factor on the height of hills and terraces; 0 is a plain (houses and trees stay).
        softness_px: Standard deviation, in cells, of a blur over the colours: scenes poor in detail.
    """
    rng = np.random.default_rng([seed, 1])
    canvas = Canvas(
        grid,
        heights=_ground(grid, rng, relief),
        albedo=np.empty((*grid.shape, 3), np.uint8),
        texture=fractal_noise(rng, grid.shape, _TEXTURE),
        ground=np.ones(grid.shape, np.bool_),
    )
    paint_fields(canvas, rng)
    scatter_stones(canvas, rng)
    road = paint_road(canvas, rng)
    houses = build_houses(canvas, rng, road)
    plant_trees(canvas, rng, road, houses)
    colors = _lit_colors(canvas, rng)
    if softness_px > 0:
        cv2.GaussianBlur(colors, (0, 0), softness_px, colors)
    return Scene(grid, canvas.heights, colors, canvas.ground)


def _ground(grid: Grid, rng: np.random.Generator, relief: float) -> Floats32:
    """Return hills and one terraced slope: steps show errors that a plane would hide."""
    amplitudes = {length_m / grid.cell_m: sigma_m * relief for length_m, sigma_m in _HILLS_M.items()}
    heights = fractal_noise(rng, grid.shape, amplitudes)
    bearing = rng.uniform(0, 2 * np.pi)
    column = np.arange(grid.columns, dtype=np.float32) - grid.columns / 2
    row = np.arange(grid.rows, dtype=np.float32) - grid.rows / 2
    across_m = (column[None, :] * np.cos(bearing) + row[:, None] * np.sin(bearing)) * grid.cell_m
    across_m += 5 * value_noise(rng, grid.shape, 30 / grid.cell_m)
    heights += np.float32(_TERRACE_M * relief) / (1 + np.exp(-across_m / np.float32(0.8)))
    return np.asarray(heights, np.float32)


def _lit_colors(canvas: Canvas, rng: np.random.Generator) -> Bytes:
    brightness = sunlight(canvas.heights, canvas.grid.cell_m, Sun())
    brightness *= 1 + canvas.texture
    channels = []
    for channel in range(3):
        hue = 1 + np.float32(0.04) * value_noise(rng, canvas.grid.shape, 7 / canvas.grid.cell_m)
        hue *= brightness
        channels.append(cv2.multiply(canvas.albedo[..., channel], hue, dtype=cv2.CV_8U))
    return np.asarray(cv2.merge(channels), np.uint8)
