"""Evening out of exposure and white balance between photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .parallel import map_threads
from .pictures import load_picture
from .views import heights_at

if TYPE_CHECKING:
    from .canvas import Canvas
    from .models import Floats, Surface
    from .views import View

_SAMPLES: Final = 40_000
_PER_PAIR_AT_LEAST: Final = 12
_PER_PAIR_ENOUGH: Final = 200
_DARKEST, _BRIGHTEST = 8, 247
"""Outside, the sensor or the encoding clips and ratios mean nothing."""
_PRIOR_WEIGHT: Final = 0.03
"""Pull of each gain towards 1, against 1 for a pair; it fixes the common level."""
_GAIN_RANGE: Final = (0.4, 2.5)


def even_out(views: list[View], surface: Surface, canvas: Canvas, threads: int) -> Floats:
    """Return ``(photos, 3)`` RGB factors under which overlapping photos agree best, by least squares."""
    step_px = max(8.0, float(np.sqrt(canvas.width * canvas.height / _SAMPLES)))
    columns, rows = int(canvas.width // step_px), int(canvas.height // step_px)
    ground = canvas.nodes(0, 0, max(columns, 1), max(rows, 1), step_px)
    points = np.column_stack([ground, heights_at(surface, ground)])
    colors = map_threads(lambda view: _colors_at(view, points), views, threads, lambda _: None)
    return solve_gains(np.stack(colors))


def _colors_at(view: View, points: Floats) -> NDArray[np.float32]:
    """Return ``(points, 3)`` log colours in one photo, NaN where it does not see or is clipped."""
    pixels = view.project(points)
    seen = np.flatnonzero(view.sees(pixels))
    colors = np.full((len(points), 3), np.nan, np.float32)
    if not len(seen):
        return colors
    picture = load_picture(view.photo, 8.0, np.ones(3))
    at = (pixels[seen] * picture.scale).astype(np.int32)
    rows, columns = picture.pixels.shape[:2]
    found = cv2.blur(picture.pixels, (3, 3))[at[:, 1].clip(0, rows - 1), at[:, 0].clip(0, columns - 1)]
    usable = ((found >= _DARKEST) & (found <= _BRIGHTEST)).all(axis=1)
    colors[seen[usable]] = np.log(found[usable].astype(np.float32))
    return colors


def solve_gains(log_colors: NDArray[np.float32]) -> Floats:
    """Return ``(photos, 3)`` gains from ``(photos, points, 3)`` log colours with NaN where unseen."""
    photos = len(log_colors)
    seen = ~np.isnan(log_colors[:, :, 0])
    normal = np.eye(photos) * _PRIOR_WEIGHT
    right = np.zeros((photos, 3))
    shared = seen.astype(np.float32) @ seen.T.astype(np.float32)
    for first, second in np.argwhere(np.triu(shared, 1) >= _PER_PAIR_AT_LEAST):
        both = seen[first] & seen[second]
        ratio = np.median(log_colors[first, both] - log_colors[second, both], axis=0)
        weight = min(1.0, float(shared[first, second]) / _PER_PAIR_ENOUGH)
        normal[first, first] += weight
        normal[second, second] += weight
        normal[first, second] -= weight
        normal[second, first] -= weight
        right[first] -= weight * ratio
        right[second] += weight * ratio
    return np.asarray(np.clip(np.exp(np.linalg.solve(normal, right)), *_GAIN_RANGE), np.float64)
