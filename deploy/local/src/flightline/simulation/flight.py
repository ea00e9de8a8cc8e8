"""A drone's flight over a made-up site: photos like a real one's, and the truth to check results against."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from odm_gateway.orthophoto.models import Floats, Lens, Pose

from flightline.simulation.camera import Camera, Relief, first_hits, sample_colors
from flightline.simulation.canvas import Grid, Scene
from flightline.simulation.exif import PhotoTags, with_metadata
from flightline.simulation.sensor import draw_development, expose
from flightline.simulation.site import Site
from flightline.simulation.terrain import build_scene
from flightline.simulation.truth import FOLDER, PhotoTruth, Truth, save_truth

_ASPECT = 4 / 3
_FOCAL_35MM = 26
_SENSOR_WIDTH_MM = 6.17
_SPEED_M_S = 6.0
_START = datetime(2024, 6, 12, 8, 30, tzinfo=UTC)
_CELLS_PER_PIXEL = 0.8
"""A scene cell over a photo's ground pixel: finer, so that photos are as sharp as their pixels allow."""
_MOST_CELLS = 300_000_000
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class FlightPlan:
    """What to fly. All of it follows from ``seed``: the same plan gives the same bytes."""

    photos: int = 12
    megapixels: float = 1.0
    altitude_m: float = 60.0
    """Above the site's mean ground."""
    overlap: float = 0.75
    """Share of a photo seen again in the next of its strip."""
    sidelap: float = 0.65
    """Share of a photo seen again from the next strip."""
    gps_sigma_m: float = 0.25
    """Standard deviation of each photo's GPS error, per axis."""
    gps_bias_m: float = 0.35
    """Horizontal length of the error that all photos share; its height error is drawn alike."""
    tilt_deg: float = 1.5
    """Standard deviation of the camera's tilt, per axis."""
    relief: float = 1.0
    """Factor on hills of about ±2 m and a terrace of 2 m."""
    softness_px: float = 0.0
    """Blur of the scene's colours in its cells of 0.8 photo pixels: ground poor in detail."""
    seed: int = 1
    latitude_deg: float = 46.95
    longitude_deg: float = 7.43
    site_altitude_m: float = 540.0

    def __post_init__(self) -> None:
        """Refuse what cannot be flown."""
        if self.photos < 1 or self.megapixels <= 0:
            raise ValueError("A flight needs at least one photo, and a photo needs pixels.")
        if not (0 <= self.overlap < 1 and 0 <= self.sidelap < 1):
            raise ValueError("Overlap and sidelap are shares below 1.")
        if self.altitude_m < 25 + 8 * abs(self.relief):
            raise ValueError("Too low: trees and hills would reach the drone.")

    @property
    def width(self) -> int:
        """Of a photo, pixels."""
        return 2 * round((self.megapixels * 1e6 * _ASPECT) ** 0.5 / 2)

    @property
    def height(self) -> int:
        """Of a photo, pixels."""
        return 2 * round(self.width / _ASPECT / 2)


def simulate_flight(
    directory: Path, plan: FlightPlan, progress: Callable[[int, int], None] | None = None
) -> Truth:
    """Write the photos of ``plan`` into ``directory`` and the truth into ``directory/truth``.

    Args:
        directory: Where to; made if absent. Files of the same names are replaced.
        plan: What to fly.
        progress: Hears the number of photos done and of all.

    Raises:
        ValueError: The scene would not fit into memory.
    """
    rng = np.random.default_rng([plan.seed, 0])
    site = Site.at(plan.latitude_deg, plan.longitude_deg, plan.site_altitude_m)
    camera = _draw_camera(plan, rng)
    poses = _draw_poses(plan, rng)
    bias = _draw_bias(plan, rng)
    errors = bias + rng.normal(0, plan.gps_sigma_m, (plan.photos, 3))
    names = [f"DJI_{number:04d}.JPG" for number in range(1, plan.photos + 1)]
    photos = tuple(map(PhotoTruth, names, poses, errors))
    truth = Truth(directory / FOLDER, site.epsg, site.origin, camera, photos, bias)
    scene = build_scene(_grid_under(camera, poses, plan), seed=plan.seed, relief=plan.relief, softness_px=plan.softness_px)
    save_truth(truth, scene)
    _take_photos(directory, plan, site, truth, scene, progress or (lambda _done, _total: None))
    return truth
