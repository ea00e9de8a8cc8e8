"""From a folder of photos to an adjusted block and the ground below it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from .adjustment import settle
from .bundle import residuals
from .diagnosis import check_features, check_group, check_positions, check_settled, warnings_of
from .exposure import exposure_gains, track_colors
from .features import Features, extract_all
from .frame import Frame, frame_photos
from .matching import Match, match_all
from .models import Block, LeftOut, Pose, Residuals, Surface
from .placement import largest_group, place
from .scan import scan_folder
from .settled import Settled, restrict_tracks
from .surface import build_surface, triangulate_surface
from .tracks import Tracks, build_tracks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .models import Photo, Progress
    from .options import EngineOptions

_NOT_CONNECTED: Final = "shares too little with the rest of the block"


@dataclass(frozen=True, slots=True)
class _Group:
    """Photos on their way through the stages, all lists in the same order."""

    photos: list[Photo]
    features: list[Features]
    matches: list[Match]
    frame: Frame

    def only(self, indices: NDArray[np.int64]) -> _Group:
        """Return the group reduced to these photos."""
        place_of = {int(index): place for place, index in enumerate(indices)}
        matches = [
            replace(match, first=place_of[match.first], second=place_of[match.second])
            for match in self.matches
            if match.first in place_of and match.second in place_of
        ]
        return _Group(
            [self.photos[index] for index in indices],
            [self.features[index] for index in indices],
            matches,
            replace(self.frame, gps=self.frame.gps[indices]),
        )


def reconstruct(
    image_dir: Path, work_dir: Path, options: EngineOptions, progress: Progress
) -> tuple[Block, Surface]:
    """Place the photos of ``image_dir`` in the world and measure the ground below them.

    Features and matches are kept in ``work_dir``: a second run after a broken one goes on where that was.

    Raises:
        EngineError: ``TOO_FEW_IMAGES``, ``NO_GPS``, ``NO_TEXTURE``, ``NO_OVERLAP`` or ``UNSTABLE``.
        CanceledError: ``progress`` raised it.
    """
    cv2.setNumThreads(1)  # the threads are ours, one photo or pair each
    scan = scan_folder(image_dir, options, progress)
    photos, features, undecodable = extract_all(scan.photos, work_dir, options, progress)
    check_features(features)
    frame = frame_photos(photos)
    check_positions(frame.gps)
    matches = match_all(photos, features, frame.gps, work_dir, options, progress)
    everyone = _Group(photos, features, matches, frame)
    connected, sizes = largest_group(len(photos), matches)
    check_group(sizes, len(scan.photos))
    group = everyone.only(connected)
    settled, tracks = _settle(group, options, progress)
    check_settled(settled, group.photos, len(scan.photos))
    left_out = (
        *scan.left_out,
        *undecodable,
        *_unconnected(photos, connected),
        *(LeftOut(group.photos[index].name, "unsettled", why) for index, why in settled.dropped.items()),
    )
    return _finish(group.only(settled.photos), settled, tracks, left_out, options, progress)


def _unconnected(photos: Sequence[Photo], connected: NDArray[np.int64]) -> list[LeftOut]:
    inside = set(connected.tolist())
    return [
        LeftOut(photo.name, "unconnected", _NOT_CONNECTED)
        for index, photo in enumerate(photos)
        if index not in inside
    ]


def _settle(group: _Group, options: EngineOptions, progress: Progress) -> tuple[Settled, Tracks]:
    progress("placement", 65.0)
    placement = place(group.features, group.matches, group.frame.gps)
    tracks = build_tracks(group.features, group.matches)
    progress("adjustment", 67.0, f"{tracks.count} ground points seen {len(tracks.track)} times")
    camera = group.photos[0]
    settled = settle(
        placement,
        tracks,
        group.frame.gps,
        (camera.focal_ratio, camera.focal_sigma),
        1 / options.longer_side_px,
        options.gps_accuracy_m,
        lambda share: progress("adjustment", 67 + 15 * share),
    )
    return settled, tracks


def _finish(
    group: _Group,
    settled: Settled,
    tracks: Tracks,
    left_out: tuple[LeftOut, ...],
    options: EngineOptions,
    progress: Progress,
) -> tuple[Block, Surface]:
    """Measure the ground and gather what is known of the block; ``group`` holds settled photos only."""
    progress("surface", 82.0)
    scene, camera = settled.scene, group.photos[0]
    visible, _ = restrict_tracks(tracks, settled.photos, len(settled.photos) + len(settled.dropped))
    ground = triangulate_surface(scene, visible, 1 / options.longer_side_px)
    surface = build_surface(scene, ground.points, (camera.width, camera.height))
    colors = track_colors(group.features, visible)[ground.tracks]
    error = np.linalg.norm(residuals(scene, settled.tracks), axis=1) * max(camera.width, camera.height)
    block = Block(
        epsg=group.frame.epsg,
        origin=group.frame.origin,
        lens=scene.lens,
        photos=tuple(group.photos),
        poses=tuple(map(Pose, scene.rotations, scene.positions)),
        points=ground.points,
        point_colors=np.clip(np.round(colors), 0, 255).astype(np.uint8),
        gps_residuals=_gps_residuals(scene.positions - group.frame.gps),
        reprojection_rms_px=float(np.sqrt(np.mean(error**2))),
        left_out=left_out,
        features_per_photo=tuple(len(one.points) for one in group.features),
        observations=len(settled.tracks.track),
        sharpness=tuple(one.sharpness for one in group.features),
        gains=exposure_gains(group.features, group.matches),
    )
    block = replace(block, warnings=warnings_of(block, vertical_gps=settled.vertical_gps))
    progress("surface", 84.0, f"{len(block.photos)} photos placed, {len(block.points)} ground points")
    return block, surface


def _gps_residuals(offset: NDArray[np.float64]) -> Residuals:
    known = offset[np.isfinite(offset).all(axis=1)] if np.isfinite(offset[:, 2]).any() else offset
    east, north, up = np.sqrt(np.mean(known**2, axis=0))
    return Residuals(float(east), float(north), float(np.nan_to_num(up)))
