"""Which photo shows which part of a tile, and how their colours join."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import GRID_PX
from .sampling import sample
from .views import heights_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from .canvas import Canvas
    from .models import Floats, Surface
    from .pictures import Picture
    from .views import View

Window = tuple[int, int, int, int]
"""Column, row, width and height of a part of the canvas, pixels."""

_MARGIN: Final = 2
"""Grid cells around a tile, so that interpolation at its edge equals the neighbour's."""
_SEAM_POWER: Final = 24
"""High band: a narrow seam keeps detail single."""
_LEVEL_POWER: Final = 4
"""Low band: colours blend over a wide zone."""
_FAINTEST: Final = 0.004
_WHOLE: Final = 0.999
"""Less than this sum of shares: at least one corner of the grid cell was not seen."""
_TAPER: Final = 0.12
"""Part of the photo's shorter side over which its weight falls to nothing at the edge."""


@dataclass(frozen=True, slots=True)
class Glance:
    """One photo's view of a tile's grid."""

    view: View
    pixels: NDArray[np.float32]
    """(rows, columns, 2) positions in the photo."""
    seam: NDArray[np.float32]
    """(rows, columns) share in the high band."""
    level: NDArray[np.float32]
    """(rows, columns) share in the low band."""


def tile_glances(views: list[View], surface: Surface, canvas: Canvas, window: Window) -> list[Glance]:
    """Return the photos that contribute to a window whose corner lies on the grid, with their shares."""
    column, row, width, height = window
    columns, rows = (-(-side // GRID_PX) + 2 * _MARGIN for side in (width, height))
    ground = canvas.nodes(column - _MARGIN * GRID_PX, row - _MARGIN * GRID_PX, columns, rows, GRID_PX)
    points = np.column_stack([ground, heights_at(surface, ground)])
    seen: list[tuple[View, Floats, Floats]] = []
    for view in views:
        pixels = view.project(points)
        weights = _log_weights(view, points, pixels)
        if np.isfinite(weights).any():
            seen.append((view, pixels, weights))
    if not seen:
        return []
    stacked = np.stack([weights for _, _, weights in seen])
    seams, levels = (
        _shares(stacked, power).reshape(-1, rows, columns) for power in (_SEAM_POWER, _LEVEL_POWER)
    )
    return [
        Glance(view, np.nan_to_num(pixels, nan=-1).astype(np.float32).reshape(rows, columns, 2), seam, level)
        for (view, pixels, _), seam, level in zip(seen, seams, levels, strict=True)
        if level.any()
    ]


def _log_weights(view: View, points: Floats, pixels: Floats) -> Floats:
    """Return the log of each point's weight: best below the camera, nothing at the photo's edge."""
    size = np.array([view.photo.width, view.photo.height])
    with np.errstate(invalid="ignore", divide="ignore"):
        to_edge = np.minimum(pixels, size - pixels).min(axis=1) / (_TAPER * size.min())
        away = np.linalg.norm(points[:, :2] - view.pose.position[:2], axis=1)
        off_nadir = away / (view.pose.position[2] - points[:, 2])
        weights = np.log(np.clip(to_edge, 0, 1)) - off_nadir
    return np.where(np.isnan(weights) | (to_edge <= 0), -np.inf, weights)


def _shares(log_weights: Floats, power: int) -> NDArray[np.float32]:
    """Return each photo's share of each point, ``(photos, points)``; columns sum to 1 or, unseen, to 0."""
    best = log_weights.max(axis=0)
    shares = np.exp(power * (log_weights - np.where(np.isfinite(best), best, 0)))
    shares[shares < _FAINTEST] = 0
    return np.asarray(shares / np.maximum(shares.sum(axis=0), 1e-12), np.float32)


def blend(
    glances: list[Glance], window: Window, full: Callable[[View], Picture], small: Callable[[View], Picture]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return ``(height, width, 3)`` RGB of a window and which of its pixels were seen.

    The detail of a narrow seam between full-size pictures is kept; what the colours still differ is taken
    from ``small`` pictures, blended over a wide zone at an eighth of the size.
    """
    _, _, width, height = window
    rows, columns = glances[0].seam.shape
    color = np.zeros((rows * GRID_PX, columns * GRID_PX, 3), np.float32)
    shift = np.zeros((rows, columns, 3), np.float32)
    for glance in glances:
        low = _look(small(glance.view), glance.pixels).astype(np.float32)
        shift += low * (glance.level - glance.seam)[:, :, None]
        if glance.seam.any():
            _add_detail(color, glance, full)
    color += _enlarge(shift)
    seen = _enlarge(np.sum([glance.seam for glance in glances], axis=0)) > _WHOLE
    inner = (
        slice(_MARGIN * GRID_PX, _MARGIN * GRID_PX + height),
        slice(_MARGIN * GRID_PX, _MARGIN * GRID_PX + width),
    )
    return np.clip(np.rint(color[inner]), 0, 255).astype(np.uint8), seen[inner]


def _add_detail(color: NDArray[np.float32], glance: Glance, full: Callable[[View], Picture]) -> None:
    """Add one photo's share, working on the part of the tile that it touches."""
    touched = cv2.dilate((glance.seam > 0).astype(np.uint8), np.ones((5, 5), np.uint8))
    left, top, width, height = cv2.boundingRect(touched)
    grid = (slice(top, top + height), slice(left, left + width))
    part = tuple(slice(side.start * GRID_PX, side.stop * GRID_PX) for side in grid)
    picture = full(glance.view)
    image = _look(picture, _enlarge(glance.pixels[grid]))
    color[part] += image * _enlarge(glance.seam[grid])[:, :, None]


def _look(picture: Picture, pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the picture's colours at positions in the photo."""
    return sample(picture.pixels, pixels * np.array(picture.scale, np.float32))


def _enlarge(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolate a grid to pixels; the outermost half cell is constant."""
    size = (grid.shape[1] * GRID_PX, grid.shape[0] * GRID_PX)
    return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR), np.float32)
