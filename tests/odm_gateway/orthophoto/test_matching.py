from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from odm_gateway.orthophoto.exif import read_photo
from odm_gateway.orthophoto.features import Features, extract_features
from odm_gateway.orthophoto.matching import match_all, match_pair, neighbor_pairs
from odm_gateway.orthophoto.options import EngineOptions

from .known_flight import drone_tags, jpeg_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from odm_gateway.orthophoto.models import Photo

SIZE = (640, 480)
POSITIONS = np.array([[0.0, 0, 50], [100.0, 0, 50]])


def silent(stage: str, percent: float, message: str | None = None) -> None:
    """Hear nothing."""


def ground(seed: int = 0) -> NDArray[np.uint8]:
    """Return detail of several sizes, 1200 pixels square."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.normal(0, 1, (size, size)), (1200, 1200), interpolation=cv2.INTER_CUBIC)
        for size in (60, 150, 400)
    ]
    return np.asarray(np.clip(128 + 35 * np.sum(layers, axis=0), 0, 255), np.uint8)


def look(turn_deg: float, zoom: float, column: float, row: float) -> NDArray[np.float64]:
    """Return the matrix (2, 3) from the ground to the image centred on a place of it."""
    matrix = np.asarray(cv2.getRotationMatrix2D((column, row), turn_deg, zoom), np.float64)
    matrix[:, 2] += np.array(SIZE) / 2 - [column, row]
    return matrix


def photo_of(folder: Path, view: NDArray[np.float64], name: str, seed: int = 0) -> Photo:
    image = np.asarray(cv2.warpAffine(ground(seed), view, SIZE, flags=cv2.INTER_AREA), np.uint8)
    (folder / name).write_bytes(jpeg_bytes(image, drone_tags(datetime(2024, 6, 12, tzinfo=UTC))))
    return read_photo(folder / name, 10)


def features_of(folder: Path, view: NDArray[np.float64], seed: int = 0) -> Features:
    return extract_features(photo_of(folder, view, "photo.jpg", seed), 640, 2000)


def on_ground(features: Features, view: NDArray[np.float64], rows: NDArray[np.int32]) -> NDArray[np.float64]:
    pixels = features.points[rows].astype(np.float64) * SIZE[0] + np.array(SIZE) / 2 - 0.5
    return np.asarray(cv2.transform(pixels[None], cv2.invertAffineTransform(view))[0])


@pytest.mark.parametrize(("turn_deg", "zoom"), [(0, 1), (180, 1), (90, 1.1), (37, 0.9)])
def test_given_a_turned_view_when_matched_then_pairs_are_the_same_places(
    tmp_path: Path, turn_deg: float, zoom: float
) -> None:
    views = look(0, 1, 550, 600), look(turn_deg, zoom, 700, 640)
    first, second = (features_of(tmp_path, view) for view in views)

    pairs = match_pair(first, second, 0.75)

    apart = on_ground(first, views[0], pairs[:, 0]) - on_ground(second, views[1], pairs[:, 1])
    assert len(pairs) > 150
    assert np.median(np.linalg.norm(apart, axis=1)) < 1.0
    assert len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1])) == len(pairs)


def test_given_another_place_when_matched_then_nothing_is_shared(tmp_path: Path) -> None:
    first = features_of(tmp_path, look(0, 1, 600, 600))
    second = features_of(tmp_path, look(0, 1, 600, 600), seed=7)

    assert len(match_pair(first, second, 0.75)) == 0


def test_given_no_features_when_matched_then_nothing_is_shared(tmp_path: Path) -> None:
    some = features_of(tmp_path, look(0, 1, 600, 600))
    none = Features(some.points[:0], some.descriptors[:0], some.colors[:0], 1.0)

    assert len(match_pair(some, none, 0.75)) == 0
    assert len(match_pair(none, some, 0.75)) == 0


def test_given_a_line_of_photos_when_paired_then_neighbors_in_space_and_time_are() -> None:
    positions = np.column_stack([[0.0, 1.0, 2.0, 50.0, 3.0], np.zeros((5, 2))])

    assert neighbor_pairs(positions, 1) == [(0, 1), (1, 2), (2, 3), (2, 4), (3, 4)]
    assert len(neighbor_pairs(positions, 10)) == 10


def test_given_matches_on_disk_when_run_again_then_they_are_not_made_anew(tmp_path: Path) -> None:
    views = look(0, 1, 550, 600), look(10, 1, 700, 640)
    photos = [photo_of(tmp_path, view, f"{number}.jpg") for number, view in enumerate(views)]
    features = [extract_features(photo, 640, 2000) for photo in photos]
    first = match_all(photos, features, POSITIONS, tmp_path, EngineOptions(), silent)
    nothing = [Features(one.points[:0], one.descriptors[:0], one.colors[:0], 1.0) for one in features]

    second = match_all(photos, nothing, POSITIONS, tmp_path, EngineOptions(), silent)

    assert len(first) == 1
    assert np.array_equal(first[0].pairs, second[0].pairs)
