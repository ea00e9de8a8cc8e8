"""``stats.json``: how a run went, in the keys of OpenSfM and ODM."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pyproj import Transformer

from .products import PROCESSOR, camera_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from .canvas import Canvas
    from .models import Block, Floats

_DATE: str = "%d/%m/%Y at %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that the statistics and the report speak of."""

    block: Block
    canvas: Canvas
    area_m2: float
    photo_pixel_m: float
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]
    finished_at: datetime
    ignored_options: tuple[str, ...] = ()

    @property
    def photos_found(self) -> int:
        """Files that might have been used."""
        return len(self.block.photos) + len(self.block.left_out)


def statistics(run: Run) -> dict[str, object]:
    """Return the content of ``stats.json``; metres but for ``average_gsd``, in cm."""
    return {
        "engine": PROCESSOR,
        "warnings": list(run.warnings),
        "left_out": [
            {"filename": one.name, "code": one.code, "reason": one.reason} for one in run.block.left_out
        ],
        "processing_statistics": _processing(run),
        "features_statistics": {"detected_features": _spread(run.block.features_per_photo)},
        "reconstruction_statistics": _reconstruction(run),
        "camera_errors": _camera(run.block),
        "gps_errors": gps_errors(run.block),
        "gcp_errors": {},
        "point_cloud_statistics": {"dense": False},
        "odm_processing_statistics": {
            "average_gsd": round(run.photo_pixel_m * 100, 3),
            "total_time": round(sum(run.seconds.values()), 3),
            "total_time_human": _human(sum(run.seconds.values())),
        },
    }


def _processing(run: Run) -> dict[str, object]:
    taken = [photo.taken_at for photo in run.block.photos if photo.taken_at is not None]
    first, last = (f"{min(taken):{_DATE}}", f"{max(taken):{_DATE}}") if taken else (None, None)
    total = round(sum(run.seconds.values()), 3)
    return {
        "steps_times": {
            "Feature Extraction": run.seconds.get("features", -1),
            "Features Matching": run.seconds.get("matching", -1),
            "Reconstruction": run.seconds.get("adjustment", -1),
            "Total Time": total,
        },
        "date": f"{run.finished_at:{_DATE}}",
        "start_date": first,
        "end_date": last,
        "area": round(run.area_m2, 2),
    }


def _reconstruction(run: Run) -> dict[str, object]:
    block = run.block
    points = len(block.points)
    return {
        "components": 1,
        "has_gps": True,
        "has_gcp": False,
        "initial_shots_count": run.photos_found,
        "reconstructed_shots_count": len(block.photos),
        "reconstructed_points_count": points,
        "observations_count": block.observations,
        "average_track_length": round(block.observations / points, 3) if points else -1,
        "reprojection_error_pixels": _finite(block.reprojection_rms_px),
    }


def _camera(block: Block) -> dict[str, object]:
    photo, lens = block.photos[0], block.lens
    initial = {"focal_x": photo.focal_ratio, "focal_y": photo.focal_ratio, "k1": 0.0, "k2": 0.0}
    optimised = {"focal_x": lens.focal, "focal_y": lens.focal, "k1": lens.k1, "k2": lens.k2}
    return {camera_name(block): {"initial_values": initial, "optimized_values": optimised}}


def gps_errors(block: Block) -> dict[str, object]:
    """Return how far adjusted positions lie from GPS, metres: mean, spread and root mean square by axis."""
    offsets = _gps_offsets(block)
    mean, spread = np.nan_to_num(np.nanmean(offsets, axis=0)), np.nan_to_num(np.nanstd(offsets, axis=0))
    residuals = block.gps_residuals
    horizontal = np.hypot(offsets[:, 0], offsets[:, 1])
    return {
        "mean": _axes(*mean),
        "std": _axes(*spread),
        "error": _axes(residuals.east_m, residuals.north_m, residuals.up_m),
        "average_error": _finite(float(np.linalg.norm(np.nan_to_num(offsets), axis=1).mean())),
        "ce90": _finite(float(np.percentile(horizontal, 90))),
        "le90": _finite(float(np.percentile(np.abs(np.nan_to_num(offsets[:, 2])), 90))),
    }


def _gps_offsets(block: Block) -> Floats:
    """Return (photos, 3) adjusted position less GPS, metres; heights of 0 where GPS has none."""
    to_grid = Transformer.from_crs(4326, block.epsg, always_xy=True)
    east, north = to_grid.transform(
        [photo.longitude_deg for photo in block.photos], [photo.latitude_deg for photo in block.photos]
    )
    positions = np.array([pose.position for pose in block.poses]) + block.origin
    heights = [
        position[2] if photo.altitude_m is None else photo.altitude_m
        for photo, position in zip(block.photos, positions, strict=True)
    ]
    return np.asarray(positions - np.column_stack([east, north, heights]), np.float64)


def _axes(east_m: float, north_m: float, up_m: float) -> dict[str, float | None]:
    return {"x": _finite(east_m), "y": _finite(north_m), "z": _finite(up_m)}


def _spread(counts: Sequence[int]) -> dict[str, int]:
    if not counts:
        return dict.fromkeys(("min", "max", "mean", "median"), -1)
    values = np.array(counts)
    return {
        "min": int(values.min()),
        "max": int(values.max()),
        "mean": int(values.mean()),
        "median": int(np.median(values)),
    }


def _finite(value: float) -> float | None:
    """Return the value as JSON can carry it."""
    return round(float(value), 6) if math.isfinite(value) else None


def _human(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h:{minutes:02}m:{rest:02}s" if hours else f"{minutes}m:{rest:02}s"
