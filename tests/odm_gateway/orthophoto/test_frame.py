from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyproj import Geod

from odm_gateway.orthophoto.exif import read_photo
from odm_gateway.orthophoto.frame import frame_photos, utm_epsg

from .known_flight import drone_tags, jpeg_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("latitude", "longitude", "epsg"),
    [
        (46.9, 7.4, 32632),
        (-33.9, 18.4, 32734),
        (46.8, -92.0, 32615),
        (0.0, -180.0, 32601),
        (10.0, 180.0, 32601),
    ],
)
def test_given_a_place_when_asked_then_its_utm_zone_is_right(
    latitude: float, longitude: float, epsg: int
) -> None:
    assert utm_epsg(latitude, longitude) == epsg


def test_given_photos_when_framed_then_distances_are_metres(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg_bytes(np.zeros((48, 64), np.uint8), drone_tags(datetime(2024, 6, 12, tzinfo=UTC))))
    one = read_photo(path, 1)
    two = replace(one, latitude_deg=one.latitude_deg + 0.001, altitude_m=None)

    frame = frame_photos([one, two])

    _, _, distance = Geod(ellps="WGS84").inv(7.25, -46.5, 7.25, -46.499)
    assert np.linalg.norm(np.diff(frame.gps[:, :2], axis=0)) == pytest.approx(distance, rel=1e-3)
    assert np.isnan(frame.gps[1, 2])
    assert np.abs(frame.gps[0]).max() < 200
