"""Files that lie among a flight's photos and cannot be used, each for another reason."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from flightline.simulation.exif import PhotoTags, with_metadata

SIZE_OFFSET = 5
"""Of height and width behind the marker of a frame header (ITU T.81, B.2.2)."""


def spoil(folder: Path) -> set[str]:
    """Put bad files beside the photos of ``folder`` and return their names."""
    good = min(folder.glob("*.JPG")).read_bytes()
    (folder / "truncated.jpg").write_bytes(good[: len(good) // 2])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("These are not the bytes you are looking for.")
    (folder / "no_gps.jpg").write_bytes(plain_jpeg())
    (folder / "null_island.jpg").write_bytes(with_metadata(plain_jpeg(), null_island()))
    (folder / "huge.jpg").write_bytes(with_size(good, 65_000, 65_000))
    (folder / "folder.jpg").mkdir()
    (folder / "outside.jpg").symlink_to("/etc/hostname")
    return {path.name for path in folder.glob("*.jpg")}


def plain_jpeg() -> bytes:
    """Return a picture that says nothing of where it was taken."""
    picture = np.random.default_rng(1).integers(0, 255, (474, 632, 3), np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def null_island() -> PhotoTags:
    """Return what a drone writes that has no fix."""
    return PhotoTags(
        width=632,
        height=474,
        latitude_deg=0.0,
        longitude_deg=0.0,
        altitude_m=0.0,
        relative_altitude_m=60.0,
        gimbal_yaw_deg=0.0,
        gimbal_pitch_deg=-90.0,
        flight_yaw_deg=0.0,
        focal_mm=4.5,
        focal_35mm=24,
        taken_at=datetime(2024, 6, 12, tzinfo=UTC),
    )


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """Return ``jpeg`` with a lie about its size."""
    at = jpeg.index(b"\xff\xc0") + SIZE_OFFSET
    return jpeg[:at] + height.to_bytes(2) + width.to_bytes(2) + jpeg[at + 4 :]
