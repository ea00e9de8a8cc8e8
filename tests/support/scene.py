"""A flight over a plane of known colours, with exact poses, lens and surface."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import cv2
import numpy as np
from pyproj import Transformer

from odm_gateway.orthophoto.models import Block, Lens, Photo, Pose, Residuals, Surface
from odm_gateway.orthophoto.mosaic import render

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from odm_gateway.orthophoto.models import Floats
    from odm_gateway.orthophoto.mosaic import Plan

ORIGIN = np.array([424_000.0, 5_188_000.0, 200.0])
EPSG = 32615
HEIGHT_M = 40.0
SQUARE_M = 4.0
GPS_OFFSET_M = np.array([0.3, -0.2, 1.0])
"""True position less what GPS says."""


LENS = Lens(0.8, 0.02, -0.01)


@dataclass(frozen=True)
class Scene:
    """Photos over the plane ``z = slope_east * x``."""

    width: int = 320
    height: int = 240
    lens: Lens = LENS
    slope_east: float = 0.0
    columns: int = 3
    rows: int = 2
    spacing_m: float = 12.0
    yaw_deg: float = 0.0
    exposure: tuple[float, ...] = ()
    """One factor per photo; none means even exposure."""
    color: Callable[[Floats, Floats], Floats] | None = None


def checkerboard(east: Floats, north: Floats) -> Floats:
    """Return RGB of squares with edges on multiples of 4 m."""
    odd = (np.floor(east / SQUARE_M) + np.floor(north / SQUARE_M)) % 2
    return np.stack([60 + 120 * odd, 80 + 80 * odd, 150 - 60 * odd], axis=-1)


def photographed(scene: Scene, folder: Path) -> tuple[Block, Surface]:
    """Render the scene's photos into ``folder`` and return what a perfect reconstruction would know."""
    folder.mkdir(parents=True, exist_ok=True)
    poses, photos = [], []
    rays = _camera_rays(scene)
    for index in range(scene.columns * scene.rows):
        pose = _pose(scene, index)
        photo = _photo(scene, folder, index, pose)
        image = _exposed(scene, index, _render(scene, pose, rays))
        cv2.imwrite(str(photo.path), image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])
        photos.append(photo)
        poses.append(pose)
    return _block(scene, photos, poses), _surface(scene)


def _pose(scene: Scene, index: int) -> Pose:
    column, row = index % scene.columns, index // scene.columns
    position = np.array([column * scene.spacing_m, row * scene.spacing_m, HEIGHT_M])
    tilt_rad, yaw_rad = 0.03 * (-1) ** index, np.radians(scene.yaw_deg)
    # Camera x is east and y is south when it looks down with its top to the north.
    down = np.diag([1.0, -1.0, -1.0])
    heading = np.array(
        [[np.cos(yaw_rad), -np.sin(yaw_rad), 0], [np.sin(yaw_rad), np.cos(yaw_rad), 0], [0, 0, 1]]
    )
    lean = np.array(
        [[1, 0, 0], [0, np.cos(tilt_rad), -np.sin(tilt_rad)], [0, np.sin(tilt_rad), np.cos(tilt_rad)]]
    )
    return Pose(lean @ down @ heading, position)


def _photo(scene: Scene, folder: Path, index: int, pose: Pose) -> Photo:
    name = f"photo_{index:02}.jpg"
    east, north, altitude = pose.position + ORIGIN - GPS_OFFSET_M
    longitude, latitude = Transformer.from_crs(EPSG, 4326, always_xy=True).transform(east, north)
    taken_at = datetime(2026, 5, 1, 12, 0, index, tzinfo=UTC)
    return Photo(
        name, folder / name, scene.width, scene.height, latitude, longitude, altitude, HEIGHT_M,
        scene.yaw_deg, scene.lens.focal, 0.003, "Maker", "Model X", taken_at,
    )  # fmt: skip


def _camera_rays(scene: Scene) -> Floats:
    """Return the directions of 2 x 2 rays a pixel, in the camera's frame."""
    steps = (np.arange(2) + 0.5) / 2
    columns = (np.arange(scene.width)[:, None] + steps).ravel()
    rows = (np.arange(scene.height)[:, None] + steps).ravel()
    u, v = np.meshgrid(columns, rows)
    return _undistorted(scene, u, v)


def _render(scene: Scene, pose: Pose, camera_rays: Floats) -> Floats:
    """Return ``(rows, columns, 3)`` RGB."""
    rays = camera_rays @ pose.rotation
    # The ray meets z = slope * x where the height above the plane is used up.
    above = pose.position[2] - scene.slope_east * pose.position[0]
    reach = above / (scene.slope_east * rays[..., 0] - rays[..., 2])
    ground = pose.position + rays * reach[..., None]
    colors = (scene.color or checkerboard)(ground[..., 0], ground[..., 1])
    return np.asarray(colors.reshape(scene.height, 2, scene.width, 2, 3).mean(axis=(1, 3)))


def _undistorted(scene: Scene, u: Floats, v: Floats) -> Floats:
    scale = scene.lens.focal * max(scene.width, scene.height)
    distorted = np.stack([(u - scene.width / 2) / scale, (v - scene.height / 2) / scale], axis=-1)
    plane = distorted.copy()
    for _ in range(8):
        squared = (plane**2).sum(axis=-1, keepdims=True)
        plane = distorted / (1 + scene.lens.k1 * squared + scene.lens.k2 * squared**2)
    return np.concatenate([plane, np.ones((*u.shape, 1))], axis=-1)


def _exposed(scene: Scene, index: int, image: Floats) -> NDArray[np.uint8]:
    factor = scene.exposure[index] if scene.exposure else 1.0
    return np.clip(np.rint(image * factor), 0, 255).astype(np.uint8)


def _surface(scene: Scene) -> Surface:
    cell_m, west_m, north_m = 2.0, -60.0, 80.0
    east = west_m + (np.arange(80) + 0.5) * cell_m
    return Surface(np.tile(east * scene.slope_east, (75, 1)).astype(np.float32), west_m, north_m, cell_m)


def _block(scene: Scene, photos: list[Photo], poses: list[Pose]) -> Block:
    east, north = np.meshgrid(np.arange(-10.0, 40.0, 5.0), np.arange(-10.0, 30.0, 5.0))
    points = np.stack([east.ravel(), north.ravel(), scene.slope_east * east.ravel()], axis=1)
    colors = np.full((len(points), 3), 128, np.uint8)
    return Block(
        EPSG, ORIGIN, scene.lens, tuple(photos), tuple(poses), points, colors,
        Residuals(0.2, 0.3, 0.4), 0.5, features_per_photo=(500,) * len(photos), observations=4 * len(points),
        sharpness=(100.0,) * len(photos),
    )  # fmt: skip


def drawn(plan: Plan) -> NDArray[np.uint8]:
    """Return the whole map of a plan as ``(rows, columns, 4)``."""
    image = np.zeros((plan.canvas.height, plan.canvas.width, 4), np.uint8)
    for (column, row, width, height), tile in render(plan, threads=1):
        if tile is not None:
            image[row : row + height, column : column + width] = tile
    return image


def sampled(plan: Plan, image: NDArray[np.uint8], ground: Floats) -> NDArray[np.uint8]:
    """Return the map's nearest pixel at each of ``(n, 2)`` ground positions."""
    canvas = plan.canvas
    columns = ((ground[:, 0] - canvas.west_m) / canvas.pixel_m).astype(int)
    rows = ((canvas.north_m - ground[:, 1]) / canvas.pixel_m).astype(int)
    return np.asarray(image[rows, columns], np.uint8)
