"""From the flat layout to settled camera poses: rounds of alignment and bundle adjustment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from .alignment import align
from .bundle import Priors, Scene, adjust, residuals
from .camera import intersect, rays, to_camera, to_world
from .models import Lens
from .settled import Settled, drop_unsettled
from .tracks import select_balanced

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .models import Floats
    from .placement import Placement
    from .tracks import Tracks

_PER_PHOTO: Final = 900
_GOOD_GPS_SHARE: Final = 0.12
"""Of the flying height: GPS noisier than this is a worse start than the layout."""
_STEADY_HEIGHT_SHARE: Final = 0.25
_SMALLEST_GPS_SIGMA_M: Final = 0.1
_MAD_TO_SIGMA: Final = 1.4826
_OUTLIER_PX: Final = 4.0


@dataclass(frozen=True, slots=True)
class _Stage:
    huber_px: float
    iterations: int
    tolerance: float


_ROUGH: Final = _Stage(30.0, 12, 1e-2)
_FIRM: Final = _Stage(6.0, 12, 3e-3)
_FINE: Final = _Stage(1.5, 25, 5e-4)


@dataclass(frozen=True, slots=True)
class Adjuster:
    """What stays the same through all stages."""

    gps: Floats
    """(photos, 3); heights NaN where unknown or unusable."""
    gps_accuracy_m: float | None
    lens: Lens
    lens_sigma: Floats
    pixel: float
    """Size of a pixel of the feature images, over the longer side."""

    def run(self, scene: Scene, tracks: Tracks, stage: _Stage) -> Scene:
        """Align ``scene`` to GPS and adjust it."""
        scene = align(scene, self.gps, vertical=self.vertical)
        priors = Priors(self.gps, self._gps_sigma(scene), self.lens, self.lens_sigma)
        return adjust(scene, tracks, priors, self.pixel, stage.huber_px, stage.iterations, stage.tolerance)

    def refine(self, settled: Settled) -> Settled:
        """Run the last stage on the photos that are left."""
        if not len(settled.photos):
            return settled
        mine = replace(self, gps=self.gps[settled.photos])
        return replace(settled, scene=mine.run(settled.scene, settled.tracks, _FINE))

    @property
    def vertical(self) -> bool:
        """Whether there are heights to go by."""
        return bool(np.isfinite(self.gps[:, 2]).all())

    def _gps_sigma(self, scene: Scene) -> Floats:
        """Return the user's accuracy, or that which the aligned scene shows, per axis."""
        if self.gps_accuracy_m is not None:
            return np.full(3, self.gps_accuracy_m)
        offset = np.abs(scene.positions - self.gps)
        plan = _MAD_TO_SIGMA * float(np.median(offset[:, :2]))
        up = _MAD_TO_SIGMA * float(np.median(offset[:, 2])) if self.vertical else 1.0
        return np.maximum([plan, plan, up], _SMALLEST_GPS_SIGMA_M)


def settle(
    placement: Placement,
    tracks: Tracks,
    gps: Floats,
    focal: tuple[float, float],
    pixel: float,
    gps_accuracy_m: float | None,
    progress: Callable[[float], None],
) -> Settled:
    """Return settled poses of as many photos as have one.

    Args:
        placement: Where to start.
        tracks: All observations.
        gps: (photos, 3) metres, heights NaN where unknown.
        focal: Ratio to the longer side, and its relative standard deviation.
        pixel: Size of a pixel of the feature images, over the longer side.
        gps_accuracy_m: Standard deviation of GPS, ``None`` to measure it.
        progress: Hears the share that is done (0..1).
    """
    lens, lens_sigma = _lens_prior(*focal)
    heights = lens.focal * np.abs(placement.scales)
    steady = _steady(gps[:, 2], heights)
    chosen = tracks.keep(select_balanced(tracks, _PER_PHOTO)[tracks.track])
    scene = _start(placement, gps, lens, chosen, steady=steady)
    gps = np.column_stack([gps[:, :2], gps[:, 2] if steady else np.full(len(gps), np.nan)])
    adjuster = Adjuster(gps, gps_accuracy_m, lens, lens_sigma, pixel)
    scene = adjuster.run(scene, chosen, _ROUGH)
    progress(0.3)
    scene = adjuster.run(scene, chosen, _FIRM)
    progress(0.5)
    scene, chosen = _without_outliers(scene, chosen, pixel)
    settled = drop_unsettled(Settled(scene, chosen, np.arange(len(gps)), {}, steady), pixel)
    settled = adjuster.refine(settled)
    progress(0.8)
    count = len(settled.photos)
    settled = drop_unsettled(settled, pixel)
    if len(settled.photos) < count:
        settled = adjuster.refine(settled)
    progress(1.0)
    return settled


def _lens_prior(ratio: float, sigma: float) -> tuple[Lens, Floats]:
    """Distrust the distortion of cameras whose focal length is vague: those who state it also correct it."""
    radial = 0.005 if sigma < 0.01 else 0.05  # noqa: PLR2004
    return Lens(ratio, 0.0, 0.0), np.array([ratio * sigma, radial, radial])


def _steady(altitudes: Floats, heights: Floats) -> bool:
    """Tell whether GPS altitudes less flying heights give about one ground level."""
    ground = altitudes - heights
    return bool(np.isfinite(ground).all() and np.std(ground) < _STEADY_HEIGHT_SHARE * np.median(heights))


def _start(placement: Placement, gps: Floats, lens: Lens, tracks: Tracks, *, steady: bool) -> Scene:
    """Let all cameras look straight down on a flat ground."""
    heights = lens.focal * np.abs(placement.scales)
    levels = (gps[:, 2] - heights)[np.isfinite(gps[:, 2])]
    ground = float(np.median(levels)) if len(levels) else 0.0
    altitudes = gps[:, 2] if steady else ground + heights
    good = placement.gps_noise_m < _GOOD_GPS_SHARE * float(np.median(heights))
    plan = gps[:, :2] if good else np.column_stack([placement.centers.real, placement.centers.imag])
    right = placement.scales / np.abs(placement.scales)
    zero = np.zeros(len(right))
    rotations = np.stack(
        [
            np.column_stack([right.real, right.imag, zero]),
            np.column_stack([right.imag, -right.real, zero]),
            np.column_stack([zero, zero, zero - 1]),
        ],
        axis=1,
    )
    positions = np.column_stack([plan, altitudes])
    directions = to_world(rotations[tracks.photo], rays(lens, tracks.points))
    reach = (ground - positions[tracks.photo, 2]) / directions[:, 2]
    hits = positions[tracks.photo] + directions * reach[:, None]
    sums = [np.bincount(tracks.track, weights=hits[:, axis]) for axis in range(3)]
    return Scene(rotations, positions, lens, np.column_stack(sums) / tracks.lengths()[:, None])


def triangulate(scene: Scene, tracks: Tracks) -> tuple[Floats, Floats]:
    """Return where the rays of each track meet (tracks, 3), and how widely they open (tracks,), radians."""
    directions = to_world(scene.rotations[tracks.photo], rays(scene.lens, tracks.points))
    starts = np.flatnonzero(np.diff(tracks.track, prepend=-1))
    return intersect(scene.positions[tracks.photo], directions, starts)


def _without_outliers(scene: Scene, tracks: Tracks, pixel: float) -> tuple[Scene, Tracks]:
    """Drop what fits badly and start the remaining points from where their rays meet."""
    error = np.linalg.norm(residuals(scene, tracks), axis=1) / pixel
    bound = max(_OUTLIER_PX, 4 * float(np.median(error)))
    kept = tracks.keep(error < bound)
    points, _ = triangulate(scene, kept)
    fresh = replace(scene, points=points)
    usable = _in_front(fresh, kept)
    if usable.all():
        return fresh, kept
    good = np.bincount(kept.track, weights=~usable) == 0
    kept = kept.keep(good[kept.track])
    return replace(scene, points=points[good]), kept


def _in_front(scene: Scene, tracks: Tracks) -> NDArray[np.bool_]:
    in_camera = to_camera(
        scene.rotations[tracks.photo], scene.positions[tracks.photo], scene.points[tracks.track]
    )
    ahead: NDArray[np.bool_] = in_camera[:, 2] > 0
    return ahead
