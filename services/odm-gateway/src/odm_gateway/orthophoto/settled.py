"""Which poses can be believed, and the scene without the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from .bundle import residuals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .bundle import Scene
    from .models import Floats
    from .tracks import Tracks

_WIDEST_TILT_DEG: Final = 40.0
_FEWEST_RAYS: Final = 20
_WORST_RESIDUAL: Final = 4.0
_LEAST_RESIDUAL_PX: Final = 0.25
"""Median residuals below this are all equally good."""
_WORST_HEIGHT_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Settled:
    """The outcome of the adjustment."""

    scene: Scene
    tracks: Tracks
    """Those of ``scene.points``."""
    photos: NDArray[np.int64]
    """Which of the photos that went in are left; scene and tracks number photos by place in this list."""
    dropped: dict[int, str]
    """Why each of the others is not."""
    vertical_gps: bool
    """Whether GPS heights were steady enough to be used."""


def drop_unsettled(settled: Settled, pixel: float) -> Settled:
    """Drop photos whose pose is not a plausible one of a mapping flight.

    Args:
        settled: What is left so far.
        pixel: Size of a pixel of the feature images, over the longer side.
    """
    doubts = _doubts(settled.scene, settled.tracks, pixel)
    if not doubts:
        return settled
    kept = np.array([place for place in range(len(settled.photos)) if place not in doubts], np.int64)
    scene, tracks = restrict(settled.scene, settled.tracks, kept)
    dropped = settled.dropped | {int(settled.photos[place]): why for place, why in doubts.items()}
    return replace(settled, scene=scene, tracks=tracks, photos=settled.photos[kept], dropped=dropped)


def _doubts(scene: Scene, tracks: Tracks, pixel: float) -> dict[int, str]:
    """Return what is wrong with each photo that something is wrong with."""
    count = len(scene.positions)
    error = np.linalg.norm(residuals(scene, tracks), axis=1) / pixel
    typical = np.array([_median(error[tracks.photo == photo]) for photo in range(count)])
    worse = typical / max(float(np.median(typical)), _LEAST_RESIDUAL_PX)
    rays_of = np.bincount(tracks.photo, minlength=count)
    tilt = np.degrees(np.arccos(np.clip(-scene.rotations[:, 2, 2], -1, 1)))
    height = scene.positions[:, 2] - _median(scene.points[:, 2])
    relative = height / np.median(height)
    doubts: dict[int, str] = {}
    for photo in range(count):
        if rays_of[photo] < _FEWEST_RAYS:
            doubts[photo] = f"shares only {rays_of[photo]} points with the others"
        elif tilt[photo] > _WIDEST_TILT_DEG:
            doubts[photo] = f"seems tilted by {tilt[photo]:.0f} degrees"
        elif worse[photo] > _WORST_RESIDUAL:
            doubts[photo] = f"fits {worse[photo]:.0f} times worse than the others"
        elif abs(relative[photo] - 1) > _WORST_HEIGHT_SHARE:
            doubts[photo] = f"seems to be at {relative[photo]:.1f} times the height of the others"
    return doubts


def restrict(scene: Scene, tracks: Tracks, photos: NDArray[np.int64]) -> tuple[Scene, Tracks]:
    """Return the scene with only these photos, renumbered, and the points that two of them still see."""
    left, seen = restrict_tracks(tracks, photos, len(scene.positions))
    reduced = replace(
        scene,
        rotations=scene.rotations[photos],
        positions=scene.positions[photos],
        points=scene.points[seen],
    )
    return reduced, left


def restrict_tracks(
    tracks: Tracks, photos: NDArray[np.int64], photo_count: int
) -> tuple[Tracks, NDArray[np.int64]]:
    """Return tracks among these photos, renumbered, and which of the old tracks are left."""
    place = np.full(photo_count, -1)
    place[photos] = np.arange(len(photos))
    inside = place[tracks.photo] >= 0
    lengths = np.bincount(tracks.track[inside], minlength=tracks.count)
    kept = tracks.keep(inside)
    return replace(kept, photo=place[kept.photo]), np.flatnonzero(lengths > 1)


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else np.inf
