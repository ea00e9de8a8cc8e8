"""The files of a finished project, under the names that ODM gives them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from pyproj import Transformer

from .canvas import Canvas
from .cog import RasterFrame, write_heights
from .files import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from .canvas import Cover
    from .models import Block, Photo, Pose, Surface

ORTHOPHOTO: Final = "odm_orthophoto/odm_orthophoto.tif"
PREVIEW: Final = "odm_orthophoto/odm_orthophoto.png"
SURFACE_MODEL: Final = "odm_dem/dsm.tif"
SHOTS: Final = "odm_report/shots.geojson"
STATS: Final = "odm_report/stats.json"
REPORT: Final = "odm_report/report.pdf"
CAMERAS: Final = "cameras.json"
IMAGES: Final = "images.json"
CONSOLE: Final = "task_output.txt"
LOG: Final = "log.json"
ARCHIVE: Final = "all.zip"

PROCESSOR: Final = "fast-orthophoto"
_NO_HEIGHT: Final = -9999.0


def write_json(path: Path, content: object) -> None:
    """Write a JSON document, complete or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def camera_name(block: Block) -> str:
    """Return OpenSfM's name of the block's camera, as ODM uses it for a key."""
    photo = block.photos[0]
    maker, model = photo.make.strip().lower(), photo.model.strip().lower()
    return f"v2 {maker} {model} {photo.width} {photo.height} brown {round(photo.focal_ratio, 4):g}"


def cameras(block: Block) -> dict[str, object]:
    """Return the content of ``cameras.json``: the adjusted lens, lengths over the longer image side."""
    photo, lens = block.photos[0], block.lens
    return {
        camera_name(block): {
            "projection_type": "brown", "width": photo.width, "height": photo.height,
            "focal_x": lens.focal, "focal_y": lens.focal, "c_x": 0.0, "c_y": 0.0,
            "k1": lens.k1, "k2": lens.k2, "p1": 0.0, "p2": 0.0, "k3": 0.0,
        }
    }  # fmt: skip


def images(block: Block) -> list[dict[str, object]]:
    """Return the content of ``images.json``: the used photos and what their metadata say."""
    return [
        {
            "filename": photo.name, "width": photo.width, "height": photo.height,
            "latitude": photo.latitude_deg, "longitude": photo.longitude_deg, "altitude": photo.altitude_m,
            "camera_make": photo.make, "camera_model": photo.model, "focal_ratio": photo.focal_ratio,
            "camera_projection": "brown", "yaw": photo.yaw_deg, "band_name": "RGB", "band_index": 0,
            "utc_time": None if photo.taken_at is None else photo.taken_at.timestamp() * 1000,
        }
        for photo in block.photos
    ]  # fmt: skip


def shots(block: Block) -> dict[str, object]:
    """Return the content of ``shots.geojson``: where each photo was taken from and how it looked."""
    positions = np.array([pose.position for pose in block.poses]) + block.origin
    to_wgs84 = Transformer.from_crs(block.epsg, 4326, always_xy=True)
    longitudes, latitudes = to_wgs84.transform(positions[:, 0], positions[:, 1])
    points = np.column_stack([longitudes, latitudes, positions[:, 2]])
    name = camera_name(block)
    rows = zip(block.photos, block.poses, positions.tolist(), points.tolist(), strict=True)
    features = [_shot(block, name, *row) for row in rows]
    return {"type": "FeatureCollection", "features": features}


def _shot(
    block: Block, camera: str, photo: Photo, pose: Pose, position: list[float], point: list[float]
) -> dict[str, object]:
    rotation, _ = cv2.Rodrigues(pose.rotation)
    properties = {
        "filename": photo.name, "camera": camera, "focal": block.lens.focal,
        "width": photo.width, "height": photo.height,
        "capture_time": 0.0 if photo.taken_at is None else photo.taken_at.timestamp(),
        "translation": position, "rotation": np.ravel(rotation).tolist(),
    }  # fmt: skip
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": point}}


def write_surface_model(path: Path, block: Block, surface: Surface, cover: Cover) -> None:
    """Write the surface's heights above the block's datum, metres, -9999 outside the shown part."""
    rows, columns = surface.heights.shape
    grid = Canvas(surface.west_m, surface.north_m, surface.cell_m, columns, rows)
    shown = cover.inside(grid, (0, 0, columns, rows)) & np.isfinite(surface.heights)
    heights = np.where(shown, surface.heights + block.origin[2], _NO_HEIGHT).astype(np.float32)
    tags = {"PROCESSOR": PROCESSOR, "SURFACE": "sparse, interpolated between tie points"}
    frame = RasterFrame(columns, rows, grid.transform(block.origin), block.epsg)
    write_heights(path, frame, heights, _NO_HEIGHT, tags)
