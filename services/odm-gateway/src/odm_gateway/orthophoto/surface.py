"""The ground as heights on a grid, from the points that photos share.

A linear interpolation of sparse points: between them, roof edges and tree crowns are planes. Expect heights
to be off by decimetres (relative) and up to two metres (absolute, as GPS and focal length are).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import QhullError, cKDTree

from .adjustment import triangulate
from .bundle import Scene, residuals
from .camera import rays, to_world
from .models import EngineError, Surface
from .triangles import interpolate_linear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .models import Floats
    from .tracks import Tracks

_SMALLEST_ANGLE_DEG: Final = 2.5
_WORST_RESIDUAL_PX: Final = 2.0
_NEIGHBORS: Final = 12
_TRUSTED_RAYS: Final = 3
_FEWEST_TRUSTED: Final = 50
_OUTLIER_SIGMAS: Final = 4.0
_MAD_TO_SIGMA: Final = 1.4826
_CELL_PIXELS: Final = 4
_SMALLEST_CELL_M: Final = 0.25
_MOST_CELLS: Final = 2_000_000
_FARTHEST_HEIGHTS: Final = 2.0
"""A corner of a photo farther from its nadir than this many flying heights sees the horizon, not the site."""
_FEWEST_POINTS: Final = 10
_SMOOTHING_CELLS: Final = 8.0


@dataclass(frozen=True, slots=True)
class SurfacePoints:
    """Well determined ground points."""

    points: Floats
    """(n, 3) metres."""
    tracks: NDArray[np.int64]
    """(n,) the track of each."""


def triangulate_surface(scene: Scene, tracks: Tracks, pixel: float) -> SurfacePoints:
    """Return the points of ``tracks`` that are seen under a fair angle, fit, and agree with those around."""
    points, angles = triangulate(scene, tracks)
    located = Scene(scene.rotations, scene.positions, scene.lens, points)
    error = np.linalg.norm(residuals(located, tracks), axis=1) / pixel
    starts = np.flatnonzero(np.diff(tracks.track, prepend=-1))
    worst = np.maximum.reduceat(error, starts)
    lowest_camera = float(scene.positions[:, 2].min())
    good = (angles > np.radians(_SMALLEST_ANGLE_DEG)) & (worst < _WORST_RESIDUAL_PX)
    chosen = np.flatnonzero(good & (points[:, 2] < lowest_camera))
    trusted = chosen[tracks.lengths()[chosen] >= _TRUSTED_RAYS]
    if len(trusted) >= _FEWEST_TRUSTED:
        chosen = chosen[_agrees_with_neighbors(points[chosen], points[trusted])]
    return SurfacePoints(points[chosen], chosen)


def _agrees_with_neighbors(points: Floats, trusted: Floats) -> NDArray[np.bool_]:
    """Tell which points lie about as high as the trusted ones around: two rays alone can meet by chance."""
    _, near = cKDTree(trusted[:, :2]).query(points[:, :2], k=_NEIGHBORS)
    heights = trusted[near, 2]
    middle = np.median(heights, axis=1)
    spread = _MAD_TO_SIGMA * np.median(np.abs(heights - middle[:, None]), axis=1)
    bound = _OUTLIER_SIGMAS * np.maximum(spread, np.median(spread))
    agrees: NDArray[np.bool_] = np.abs(points[:, 2] - middle) < bound
    return agrees


def build_surface(scene: Scene, points: Floats, image_size: tuple[int, int]) -> Surface:
    """Return heights over all that the photos see, interpolated between ``points``, evened out around them.

    Raises:
        EngineError: ``UNSTABLE``, there are too few points to span a surface.
    """
    west, south, east, north = _extent(scene, points, image_size)
    cell = _cell_m(scene, points, image_size, (east - west) * (north - south))
    columns, rows = max(2, int(np.ceil((east - west) / cell))), max(2, int(np.ceil((north - south) / cell)))
    in_cells = np.column_stack([points[:, 0] - west, north - points[:, 1]]) / cell - 0.5
    heights = _interpolate(in_cells, points[:, 2], (rows, columns))
    return Surface(_fill(heights), west, north, cell)


def _interpolate(in_cells: Floats, heights: Floats, shape: tuple[int, int]) -> NDArray[np.float32]:
    if len(heights) < _FEWEST_POINTS:
        raise EngineError(
            "UNSTABLE",
            f"Only {len(heights)} ground points could be measured, too few for a surface; the photos may "
            "lack overlap, detail or sharpness.",
        )
    try:
        grid = interpolate_linear(in_cells[:, 0], in_cells[:, 1], heights, shape)
    except QhullError as error:
        raise EngineError("UNSTABLE", "All ground points lie on one line: no surface spans them.") from error
    return grid.astype(np.float32)


def ground_resolution_m(scene: Scene, points: Floats, image_size: tuple[int, int]) -> float:
    """Return the ground width of a photo's pixel."""
    height = float(np.median(scene.positions[:, 2]) - np.median(points[:, 2]))
    return height / (scene.lens.focal * max(image_size))


def _cell_m(scene: Scene, points: Floats, image_size: tuple[int, int], area_m2: float) -> float:
    wanted = max(_CELL_PIXELS * ground_resolution_m(scene, points, image_size), _SMALLEST_CELL_M)
    return max(wanted, float(np.sqrt(area_m2 / _MOST_CELLS)))


def _extent(scene: Scene, points: Floats, image_size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return west, south, east and north of what the photos' corners see, and of the points."""
    half = np.array(image_size) / (2 * max(image_size))
    corners = rays(scene.lens, half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]))
    count = len(scene.positions)
    directions = to_world(np.repeat(scene.rotations, 4, axis=0), np.tile(corners, (count, 1)))
    ground = float(np.median(points[:, 2])) if len(points) else 0.0
    height = np.repeat(scene.positions[:, 2] - ground, 4)
    flat = directions[:, :2] / np.maximum(-directions[:, 2], 1e-3)[:, None]
    flat *= np.minimum(1, _FARTHEST_HEIGHTS / np.maximum(np.linalg.norm(flat, axis=1), 1e-9))[:, None]
    seen = np.repeat(scene.positions[:, :2], 4, axis=0) + flat * height[:, None]
    everything = np.vstack([seen, points[:, :2]])
    west, south = everything.min(axis=0)
    east, north = everything.max(axis=0)
    return float(west), float(south), float(east), float(north)


def _fill(heights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take out single spikes, and continue the border outwards, the smoother the farther."""
    missing = np.isnan(heights)
    if missing.all():
        raise EngineError("UNSTABLE", "The ground points span no area that the surface could be built on.")
    _, (row, column) = distance_transform_edt(missing, return_indices=True)
    filled = cv2.medianBlur(np.ascontiguousarray(heights[row, column]), 5)
    smooth = cv2.GaussianBlur(filled, (0, 0), _SMOOTHING_CELLS)
    return np.where(missing, smooth, filled).astype(np.float32)
