"""A drone's flight over a made-up site: photos like a real one's, and the truth to check results against."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from flightline.simulation.camera import Camera, Relief, first_hits, sample_colors
from flightline.simulation.canvas import Bytes, Grid, Scene
from flightline.simulation.exif import PhotoTags, with_metadata
from flightline.simulation.plan import FlightPlan
from flightline.simulation.route import (
    FOCAL_35MM,
    draw_camera,
    draw_gps_bias,
    draw_poses,
    seconds_between,
    yaw_and_pitch_deg,
)
from flightline.simulation.sensor import draw_development, expose
from flightline.simulation.site import Site
from flightline.simulation.terrain import build_scene, lowest_ground_m
from flightline.simulation.truth import FOLDER, PhotoTruth, Truth, save_truth
from odm_gateway.orthophoto.models import Floats, Pose

_SENSOR_WIDTH_MM = 6.17
_SPEED_M_S = 6.0
_START = datetime(2024, 6, 12, 8, 30, tzinfo=UTC)
_CELLS_PER_PIXEL = 0.8
"""A scene cell over a photo's ground pixel: finer, so that photos are as sharp as their pixels allow."""
_MARGIN_M = 2.0
_MOST_CELLS = 300_000_000
_JPEG_QUALITY = 92


def simulate_flight(
    directory: Path, plan: FlightPlan, progress: Callable[[int, int], None] | None = None
) -> Truth:
    """Write the photos of ``plan`` into ``directory`` and the truth into ``directory/truth``.

    Args:
        directory: Where to; made if absent. Files of the same names are replaced.
        plan: What to fly. The same plan gives the same bytes.
        progress: Hears the number of photos done and of all.

    Raises:
        ValueError: The scene would not fit into memory.
    """
    site = Site.at(plan.latitude_deg, plan.longitude_deg, plan.site_altitude_m)
    truth = _draw_truth(directory / FOLDER, plan, site)
    grid = _grid_under(truth.camera, [photo.pose for photo in truth.photos], plan)
    scene = build_scene(grid, seed=plan.seed, relief=plan.relief, softness_px=plan.softness_px)
    save_truth(truth, scene)
    _take_photos(directory, plan.seed, site, truth, scene, progress or (lambda _done, _total: None))
    return truth


def _draw_truth(folder: Path, plan: FlightPlan, site: Site) -> Truth:
    rng = np.random.default_rng([plan.seed, 0])
    camera = draw_camera(plan, rng)
    poses = draw_poses(plan, rng)
    bias = draw_gps_bias(plan, rng)
    errors = bias + rng.normal(0, plan.gps_sigma_m, (plan.photos, 3))
    names = [f"DJI_{number:04d}.JPG" for number in range(1, plan.photos + 1)]
    photos = tuple(map(PhotoTruth, names, poses, errors))
    return Truth(folder, site.epsg, site.origin, camera, photos, bias)


def _grid_under(camera: Camera, poses: Sequence[Pose], plan: FlightPlan) -> Grid:
    """Return a grid over all that the photos can see."""
    outline = np.array([(x, y) for x in (0, camera.width) for y in (0, camera.height)], np.float64)
    rays = camera.rays(outline)
    low_m = lowest_ground_m(plan.relief)
    seen = np.concatenate([_on_plane(pose, rays, low_m) for pose in poses])
    west, south = seen.min(axis=0) - _MARGIN_M
    east, north = seen.max(axis=0) + _MARGIN_M
    cell_m = round(_CELLS_PER_PIXEL * plan.altitude_m / camera.focal_px, 4)
    rows, columns = int((north - south) / cell_m), int((east - west) / cell_m)
    if rows * columns > _MOST_CELLS:
        raise ValueError(
            f"The scene would have {rows * columns / 1e6:.0f} million cells; fly fewer or smaller photos."
        )
    return Grid(float(west), float(north), cell_m, rows, columns)


def _on_plane(pose: Pose, rays: Floats, height_m: float) -> Floats:
    directions = rays @ pose.rotation
    depth = (height_m - pose.position[2]) / directions[:, 2:]
    return np.asarray(pose.position[:2] + depth * directions[:, :2])


def _take_photos(
    directory: Path, seed: int, site: Site, truth: Truth, scene: Scene, progress: Callable[[int, int], None]
) -> None:
    relief = Relief(scene)
    rays = truth.camera.pixel_rays()
    all_tags = _tags(seed, site, truth)

    def take(number: int) -> None:
        photo = truth.photos[number]
        rng = np.random.default_rng([seed, 2, number])
        columns, rows, _ = first_hits(relief, photo.pose, rays)
        picture = expose(sample_colors(scene, columns, rows), draw_development(rng), rng)
        (directory / photo.name).write_bytes(with_metadata(_to_jpeg(picture), all_tags[number]))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(take, range(len(truth.photos))), start=1):
            progress(done, len(truth.photos))


def _to_jpeg(picture: Bytes) -> bytes:
    _, jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return jpeg.tobytes()


def _tags(seed: int, site: Site, truth: Truth) -> list[PhotoTags]:
    """Return what the drone writes into each photo: all of it measured, so none of it exact."""
    rng = np.random.default_rng([seed, 3])
    positions = np.array([photo.pose.position for photo in truth.photos])
    tagged = site.to_geographic(positions + np.array([photo.gps_error_m for photo in truth.photos]))
    barometer_m = positions[:, 2] + rng.normal(0, 0.1, len(positions))
    seconds = seconds_between([photo.pose for photo in truth.photos], _SPEED_M_S)
    tags = []
    for number, photo in enumerate(truth.photos):
        yaw, pitch = yaw_and_pitch_deg(photo.pose.rotation)
        yaw_deg = (yaw + site.convergence_deg + rng.normal(0, 0.5) + 180) % 360 - 180
        tags.append(
            PhotoTags(
                width=truth.camera.width,
                height=truth.camera.height,
                latitude_deg=float(tagged[number, 1]),
                longitude_deg=float(tagged[number, 0]),
                altitude_m=float(tagged[number, 2]),
                relative_altitude_m=float(barometer_m[number]),
                gimbal_yaw_deg=yaw_deg,
                gimbal_pitch_deg=round(pitch + rng.normal(0, 0.2), 1),
                flight_yaw_deg=yaw_deg,
                focal_mm=FOCAL_35MM / 36 * _SENSOR_WIDTH_MM,
                focal_35mm=FOCAL_35MM,
                taken_at=_START + timedelta(seconds=float(seconds[number])),
            )
        )
    return tags
