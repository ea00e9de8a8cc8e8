from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from odm_gateway.orthophoto.exif import focal_of, read_photo
from odm_gateway.orthophoto.image_header import BadImageError

from .known_flight import drone_tags, jpeg_bytes

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2024, 6, 12, 12, 0, 5, tzinfo=UTC)
TAGS = drone_tags(NOON)
PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
PHOTO = jpeg_bytes(PICTURE, TAGS)


class Values:
    """A tag as exifread hands it out."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "photo.jpg"
    path.write_bytes(content)
    return path


def code_of(path: Path, max_megapixels: float = 10.0) -> str:
    with pytest.raises(BadImageError) as refusal:
        read_photo(path, max_megapixels)
    return refusal.value.code


def with_size(content: bytes, width: int, height: int) -> bytes:
    """Overwrite the size in the frame header of a JPEG."""
    at = content.index(b"\xff\xc0\x00\x11\x08") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


def test_given_a_drone_photo_when_read_then_its_place_is_known(tmp_path: Path) -> None:
    photo = read_photo(written(tmp_path, PHOTO), 10)

    assert (photo.latitude_deg, photo.longitude_deg) == pytest.approx((-46.5, 7.25), abs=1e-7)
    assert (photo.altitude_m, photo.relative_altitude_m) == pytest.approx((612.5, 61.2))
    assert photo.yaw_deg == pytest.approx(-33.0)


def test_given_a_drone_photo_when_read_then_its_camera_is_known(tmp_path: Path) -> None:
    photo = read_photo(written(tmp_path, PHOTO), 10)

    assert (photo.width, photo.height) == (64, 48)
    assert (photo.focal_ratio, photo.focal_sigma) == (0.75, 0.003)
    assert (photo.make, photo.model, photo.taken_at) == ("Flightline", "Simulated Camera", NOON)


def test_given_a_place_below_the_sea_when_read_then_its_altitude_is_negative(tmp_path: Path) -> None:
    content = jpeg_bytes(PICTURE, replace(TAGS, altitude_m=-12.0))

    assert read_photo(written(tmp_path, content), 10).altitude_m == -12.0


def test_given_element_style_xmp_when_read_then_it_is_understood(tmp_path: Path) -> None:
    packet = b"<x:xmpmeta><drone-dji:RelativeAltitude>+40.5</drone-dji:RelativeAltitude></x:xmpmeta>"
    content = PHOTO.replace(b"x:xmpmeta", b"x:nothing") + packet

    assert read_photo(written(tmp_path, content), 10).relative_altitude_m == 40.5


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_an_image"),
        (b"%PDF-1.7 and more of it", "not_an_image"),
        (PHOTO[: len(PHOTO) // 2], "truncated"),
        (PHOTO[:40], "truncated"),
        (PHOTO[:-600] + bytes(600), "truncated"),
        (PHOTO[:2] + b"\xff\xe1\x00\x00" + PHOTO[2:], "not_an_image"),
        (with_size(PHOTO, 60_000, 60_000), "too_large"),
        (with_size(PHOTO, 0, 48), "not_an_image"),
        (jpeg_bytes(PICTURE), "no_gps"),
        (jpeg_bytes(PICTURE, replace(TAGS, latitude_deg=0.0, longitude_deg=0.0)), "no_gps"),
        (PHOTO.replace(b"Exif\x00\x00II", b"Exif\x00\x00??"), "no_gps"),
    ],
)
def test_given_a_spoilt_file_when_read_then_the_reason_has_a_code(
    tmp_path: Path, content: bytes, code: str
) -> None:
    assert code_of(written(tmp_path, content)) == code


def test_given_a_folder_named_like_a_photo_when_read_then_it_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").mkdir()

    assert code_of(tmp_path / "x.jpg") == "not_an_image"


def test_given_a_tag_cut_at_every_byte_when_read_then_nothing_but_a_refusal_happens(tmp_path: Path) -> None:
    start = PHOTO.index(b"Exif")
    outcomes = set()
    for at in range(start, start + 500, 7):
        damaged = PHOTO[:at] + b"\xff\xff\xff\xff" + PHOTO[at + 4 :]
        try:
            outcomes.add(type(read_photo(written(tmp_path, damaged), 10)).__name__)
        except BadImageError as refusal:
            outcomes.add(refusal.code)

    assert {"Photo", "no_gps"} <= outcomes


@pytest.mark.parametrize(
    ("tags", "ratio", "sigma"),
    [
        ({"EXIF FocalLengthIn35mmFilm": Values(24)}, 24 / 36, 0.003),
        (
            {
                "EXIF FocalLength": Values(4.3),
                "EXIF ExifImageWidth": Values(4000),
                "EXIF FocalPlaneXResolution": Values(4000 / 6.17 * 25.4),
                "EXIF FocalPlaneResolutionUnit": Values(2),
            },
            4.3 / 6.17,
            0.01,
        ),
        (
            {
                "EXIF FocalLength": Values(4.3),
                "EXIF ExifImageWidth": Values(1600),
                "EXIF FocalPlaneXResolution": Values(4000 / 6.17 * 25.4),
            },
            4.3 / 6.17,
            0.1,
        ),
        ({"EXIF FocalLengthIn35mmFilm": Values(0)}, 0.85, 0.2),
        ({"EXIF FocalLength": Values(50)}, 0.85, 0.2),
        ({}, 0.85, 0.2),
    ],
    ids=["35 mm", "focal plane", "resized", "zero", "no sensor", "none"],
)
def test_given_focal_tags_when_read_then_the_best_is_trusted_most(
    tags: dict[str, Values], ratio: float, sigma: float
) -> None:
    focal = focal_of(tags)

    assert focal.ratio == pytest.approx(ratio)
    assert focal.sigma == sigma
