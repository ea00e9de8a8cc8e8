from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from odm_gateway.orthophoto.models import EngineError
from odm_gateway.orthophoto.options import EngineOptions
from odm_gateway.orthophoto.scan import scan_folder

from .known_flight import drone_tags, jpeg_bytes

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2024, 6, 12, 12, tzinfo=UTC)
GREY = np.full((48, 64), 120, np.uint8)


def silent(stage: str, percent: float, message: str | None = None) -> None:
    """Hear nothing."""


def fill(folder: Path, count: int) -> None:
    """Write photos whose names run against the order in which they were taken."""
    for number in range(count):
        tags = drone_tags(START - timedelta(seconds=number))
        (folder / f"{number}.jpg").write_bytes(jpeg_bytes(GREY, tags))


def test_given_photos_when_scanned_then_they_come_in_order_of_time(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    (tmp_path / "notes.txt").write_text("no photo")

    scan = scan_folder(tmp_path, EngineOptions(), silent)

    assert [photo.name for photo in scan.photos] == ["3.jpg", "2.jpg", "1.jpg", "0.jpg"]
    assert scan.left_out == ()


def test_given_two_cameras_when_scanned_then_the_commoner_one_is_kept(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    other = replace(drone_tags(START), model="Another", width=32)
    (tmp_path / "other.jpg").write_bytes(jpeg_bytes(GREY[:, :32], other))

    scan = scan_folder(tmp_path, EngineOptions(), silent)

    assert len(scan.photos) == 3
    assert [(one.name, one.code) for one in scan.left_out] == [("other.jpg", "other_camera")]
    assert "Another (32 x 48" in scan.left_out[0].reason


def test_given_two_photos_when_scanned_then_they_are_too_few(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (tmp_path / "broken.jpg").write_bytes(b"nothing")

    with pytest.raises(EngineError, match=r"2 usable photos .* broken.jpg is neither") as refusal:
        scan_folder(tmp_path, EngineOptions(), silent)

    assert refusal.value.code == "TOO_FEW_IMAGES"


def test_given_photos_without_gps_when_scanned_then_the_refusal_counts_them(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    for number in range(4):
        (tmp_path / f"plain{number}.jpg").write_bytes(jpeg_bytes(GREY))

    with pytest.raises(EngineError, match="Only 1 of 5 photos carry a GPS position") as refusal:
        scan_folder(tmp_path, EngineOptions(), silent)

    assert refusal.value.code == "NO_GPS"


def test_given_an_empty_folder_when_scanned_then_it_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="0 usable photos"):
        scan_folder(tmp_path, EngineOptions(), silent)
