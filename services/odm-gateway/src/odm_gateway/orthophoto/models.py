"""What the stages of the engine hand to each other.

World frame: UTM easting, northing and altitude in metres, less ``Block.origin``. Camera frame: x right,
y down, z forward, so that ``x_camera = rotation @ (x_world - position)``. A pixel's centre is at half
integers: the first pixel's centre is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Progress(Protocol):
    """Hears how far the engine is; raises ``Canceled`` from within to stop it."""

    def __call__(self, stage: str, percent: float, message: str | None = None) -> None:
        """Take note: ``percent`` is of the whole run (0..100); ``message`` is a line for the console."""


class EngineError(Exception):
    """The photos cannot become an orthophoto; ``code`` is stable, the message is for the user."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CanceledError(Exception):
    """The run was asked to stop."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One usable photo and what its metadata say."""

    name: str
    path: Path
    width: int
    height: int
    latitude_deg: float
    longitude_deg: float
    altitude_m: float | None
    relative_altitude_m: float | None
    yaw_deg: float | None
    focal_ratio: float
    """Focal length over the longer side of the image."""
    focal_sigma: float
    """Relative standard deviation of ``focal_ratio``: 0.003 from the 35 mm tag up to 0.2 for a guess."""
    make: str
    model: str
    taken_at: datetime | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that takes no part, and why."""

    name: str
    code: str
    """``not_an_image``, ``truncated``, ``no_gps``, ``too_large``, ``other_camera``, ``unconnected``, …"""
    reason: str


@dataclass(frozen=True, slots=True)
class Lens:
    """A Brown lens with centred principal point; lengths are ratios of the longer image side."""

    focal: float
    k1: float
    k2: float


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a photo was taken from and how it looks."""

    rotation: Floats
    """(3, 3), world to camera."""
    position: Floats
    """(3,), metres in the block's frame."""


@dataclass(frozen=True, slots=True)
class Residuals:
    """How far adjusted positions lie from GPS, root mean square, metres."""

    east_m: float
    north_m: float
    up_m: float


@dataclass(frozen=True, slots=True)
class Block:
    """An adjusted block of photos, all by one camera."""

    epsg: int
    origin: Floats
    """(3,) easting, northing, altitude of the frame's zero, metres in ``epsg``."""
    lens: Lens
    photos: tuple[Photo, ...]
    poses: tuple[Pose, ...]
    """As many as ``photos``, in their order."""
    points: Floats
    """(n, 3) sparse surface points in the block's frame."""
    point_colors: NDArray[np.uint8]
    """(n, 3) RGB."""
    gps_residuals: Residuals
    reprojection_rms_px: float
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    features_per_photo: tuple[int, ...] = ()
    observations: int = 0
    sharpness: tuple[float, ...] = ()
    gains: Floats = field(default_factory=lambda: np.ones((0, 3)))
    """(photos, 3) RGB factors that even out exposure."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Heights on a north-up grid; ``heights[0, 0]`` is the centre of the north-western cell."""

    heights: NDArray[np.float32]
    """(rows, columns), metres in the block's frame."""
    west_m: float
    north_m: float
    """Outer corner of the north-western cell in the block's frame."""
    cell_m: float
