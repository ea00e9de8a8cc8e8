"""A flight over rough ground whose poses, lens and points are known, without any picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from flightline.simulation.exif import PhotoTags, with_metadata
from odm_gateway.orthophoto.bundle import Scene
from odm_gateway.orthophoto.camera import project, rotation_exp, to_camera
from odm_gateway.orthophoto.features import Features
from odm_gateway.orthophoto.matching import Match
from odm_gateway.orthophoto.models import Lens
from odm_gateway.orthophoto.tracks import Tracks

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from odm_gateway.orthophoto.models import Floats

HEIGHT_M = 50.0
PIXEL = 1 / 800
LENS = Lens(0.75, -0.01, 0.005)
DOWN = np.diag([1.0, -1.0, -1.0])
"""Looks down with the top of the image to the north."""


@dataclass(frozen=True)
class KnownFlight:
    """What was flown, and what the photos saw of it."""

    scene: Scene
    tracks: Tracks
    features: list[Features]
    matches: list[Match]


def fly(
    lines: int = 4, photos: int = 4, points: int = 600, noise_px: float = 0.0, seed: int = 0
) -> KnownFlight:
    """Fly ``lines`` of ``photos`` 12 m apart, with a few degrees of tilt, over ground of +-3 m."""
    rng = np.random.default_rng(seed)
    east, north = np.meshgrid(np.arange(photos) * 12.0, np.arange(lines) * 12.0)
    count = lines * photos
    positions = np.column_stack([east.ravel(), north.ravel(), HEIGHT_M + rng.normal(0, 0.5, count)])
    turns = rng.normal(0, 0.03, (count, 3)) + [0, 0, 1] * rng.choice([0.0, np.pi], (count, 1))
    low, high = positions.min(axis=0)[:2] - 30, positions.max(axis=0)[:2] + 30
    ground = np.column_stack([rng.uniform(low, high, (points, 2)), rng.uniform(-3, 3, points)])
    scene = Scene(rotation_exp(turns) @ DOWN, positions, LENS, ground)
    tracks, seen = observe(scene, rng.normal(0, noise_px * PIXEL, (count, points, 2)))
    return KnownFlight(replace(scene, points=ground[seen]), tracks, *_as_matches(tracks, count))


def observe(scene: Scene, noise: Floats) -> tuple[Tracks, NDArray[np.int64]]:
    """Return what 4:3 photos see of the scene's points, and which points two of them see."""
    count, points = len(scene.positions), len(scene.points)
    photo = np.repeat(np.arange(count), points)
    point = np.tile(np.arange(points), count)
    in_camera = to_camera(scene.rotations[photo], scene.positions[photo], scene.points[point])
    image = project(scene.lens, in_camera) + noise.reshape(-1, 2)
    visible = (np.abs(image) < [0.5, 0.375]).all(axis=1)
    seen = np.flatnonzero(np.bincount(point[visible], minlength=points) > 1)
    used = visible & np.isin(point, seen)
    order = np.flatnonzero(used)[np.argsort(point[used], kind="stable")]
    track = np.searchsorted(seen, point[order])
    return Tracks(track, photo[order], point[order], image[order]), seen


def _as_matches(tracks: Tracks, photos: int) -> tuple[list[Features], list[Match]]:
    """Return the observations as if they had been matched."""
    rows = [np.flatnonzero(tracks.photo == photo) for photo in range(photos)]
    blank = np.zeros((0, 128), np.uint8)
    features = [
        Features(tracks.points[row].astype(np.float32), blank, np.full((len(row), 3), 128, np.uint8), 1.0)
        for row in rows
    ]
    matches = []
    for first in range(photos):
        for second in range(first + 1, photos):
            _, one, two = np.intersect1d(
                tracks.track[rows[first]], tracks.track[rows[second]], return_indices=True
            )
            if len(one) > 20:
                matches.append(Match(first, second, np.column_stack([one, two]).astype(np.int32)))
    return features, matches


def jpeg_bytes(image: NDArray[np.uint8], tags: PhotoTags | None = None) -> bytes:
    """Return ``image`` (BGR or grey) as JPEG, with ``tags`` if there are any."""
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    plain = encoded.tobytes()
    return with_metadata(plain, tags) if tags else plain


def drone_tags(taken_at: datetime, width: int = 64, height: int = 48) -> PhotoTags:
    """Return what a drone would write into a photo."""
    return PhotoTags(
        width=width,
        height=height,
        latitude_deg=-46.5,
        longitude_deg=7.25,
        altitude_m=612.5,
        relative_altitude_m=61.2,
        gimbal_yaw_deg=-33.0,
        gimbal_pitch_deg=-90.0,
        flight_yaw_deg=-30.0,
        focal_mm=4.5,
        focal_35mm=27,
        taken_at=taken_at,
    )
