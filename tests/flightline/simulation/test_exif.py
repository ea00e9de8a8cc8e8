from __future__ import annotations

import dataclasses
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import cv2
import exifread
import numpy as np
import pytest
from pyproj import Transformer

from flightline.simulation.exif import PhotoTags, with_metadata

if TYPE_CHECKING:
    from pathlib import Path

    from flightline.simulation.truth import Truth

TAGS = PhotoTags(
    width=8,
    height=6,
    latitude_deg=46.9512345,
    longitude_deg=7.4387654,
    altitude_m=601.234,
    relative_altitude_m=59.87,
    gimbal_yaw_deg=-171.5,
    gimbal_pitch_deg=-88.9,
    flight_yaw_deg=-171.5,
    focal_mm=4.456,
    focal_35mm=26,
    taken_at=datetime(2024, 6, 12, 8, 30, 5, 250_000, tzinfo=UTC),
)


def jpeg_with(tags: PhotoTags) -> bytes:
    _, plain = cv2.imencode(".jpg", np.zeros((6, 8, 3), np.uint8))
    return with_metadata(plain.tobytes(), tags)


def read_tags(jpeg: bytes) -> dict[str, Any]:
    return dict(exifread.process_file(io.BytesIO(jpeg)))


def degrees(tags: dict[str, Any], axis: str) -> float:
    whole, minutes, seconds = (float(value) for value in tags[f"GPS GPS{axis}"].values)
    sign = -1 if str(tags[f"GPS GPS{axis}Ref"]) in "SW" else 1
    return sign * (whole + minutes / 60 + seconds / 3600)


def test_gps_tags_hold_truth_plus_error(flight_dir: Path, truth: Truth) -> None:
    photo = truth.photos[2]

    tags = read_tags((flight_dir / photo.name).read_bytes())

    to_utm = Transformer.from_crs(4326, truth.epsg, always_xy=True)
    east_north = to_utm.transform(degrees(tags, "Longitude"), degrees(tags, "Latitude"))
    tagged = [*east_north, float(tags["GPS GPSAltitude"].values[0])]
    assert tagged == pytest.approx(photo.pose.position + photo.gps_error_m + truth.origin, abs=0.01)


@pytest.mark.parametrize("latitude_deg", [46.9512345, -33.9876543])
@pytest.mark.parametrize("longitude_deg", [7.4387654, -123.0000001])
def test_position_survives_in_every_hemisphere(latitude_deg: float, longitude_deg: float) -> None:
    place = dataclasses.replace(TAGS, latitude_deg=latitude_deg, longitude_deg=longitude_deg)

    tags = read_tags(jpeg_with(place))

    read = degrees(tags, "Latitude"), degrees(tags, "Longitude")
    assert read == pytest.approx((latitude_deg, longitude_deg), abs=1e-9)


def test_site_below_sea_level_is_marked_so() -> None:
    tags = read_tags(jpeg_with(dataclasses.replace(TAGS, altitude_m=-411.5)))

    assert tags["GPS GPSAltitudeRef"].values == [1]
    assert float(tags["GPS GPSAltitude"].values[0]) == 411.5


def test_camera_tags_are_read_back() -> None:
    tags = read_tags(jpeg_with(TAGS))

    assert float(tags["EXIF FocalLength"].values[0]) == 4.456
    assert tags["EXIF FocalLengthIn35mmFilm"].values == [26]
    assert str(tags["EXIF DateTimeOriginal"]) == "2024:06:12 08:30:05"


def test_xmp_carries_gimbal_and_relative_altitude() -> None:
    jpeg = jpeg_with(TAGS)

    assert b'drone-dji:RelativeAltitude="+59.87"' in jpeg
    assert b'drone-dji:GimbalYawDegree="-171.50"' in jpeg
    assert b'drone-dji:GimbalPitchDegree="-88.90"' in jpeg


def test_tagged_jpeg_still_decodes() -> None:
    jpeg = jpeg_with(TAGS)

    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)

    assert decoded is not None
    assert decoded.shape == (6, 8, 3)
