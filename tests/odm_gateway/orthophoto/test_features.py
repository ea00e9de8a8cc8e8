from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from odm_gateway.orthophoto.exif import read_photo
from odm_gateway.orthophoto.features import decode_reduced, extract_all, extract_features, rank_by_scale
from odm_gateway.orthophoto.options import EngineOptions

from .known_flight import drone_tags, jpeg_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from odm_gateway.orthophoto.models import Photo

SIZE = (240, 320)
BLOBS = np.array([[60.0, 50.0], [250.0, 60.0], [70.0, 190.0], [260.0, 200.0]])
"""Column and row, in pixels."""


def silent(stage: str, percent: float, message: str | None = None) -> None:
    """Hear nothing."""


def blobs(scale: int = 1) -> NDArray[np.uint8]:
    """Return dark grey with four red Gaussian blobs, each pixel repeated ``scale`` times."""
    row, column = np.mgrid[: SIZE[0] * scale, : SIZE[1] * scale] / scale + 0.5 / scale
    image = np.full((*row.shape, 3), 60.0)
    for east, south in BLOBS:
        image[:, :, 2] += 150 * np.exp(-((column - east) ** 2 + (row - south) ** 2) / (2 * 6.0**2))
    return image.astype(np.uint8)


def noise(seed: int = 0) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def photo_of(folder: Path, image: NDArray[np.uint8], name: str = "photo.jpg") -> Photo:
    tags = drone_tags(datetime(2024, 6, 12, tzinfo=UTC))
    (folder / name).write_bytes(jpeg_bytes(image, tags))
    return read_photo(folder / name, 50)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_given_blobs_when_looked_at_small_then_their_centres_are_found(tmp_path: Path, scale: int) -> None:
    photo = photo_of(tmp_path, blobs(scale))

    features = extract_features(photo, 320, 200)

    found = features.points.astype(np.float64) * 320 + [160, 120]
    nearest = np.linalg.norm(BLOBS[:, None] - found[None], axis=2).min(axis=1)
    assert nearest.max() < 0.15


def test_given_red_blobs_when_found_then_their_color_is_red(tmp_path: Path) -> None:
    features = extract_features(photo_of(tmp_path, blobs()), 320, 200)

    at_blob = np.linalg.norm(features.points * 320 + [160, 120] - BLOBS[0], axis=1) < 1
    red, green, blue = features.colors[at_blob][0]
    assert red > green + 80
    assert abs(int(green) - int(blue)) < 30


def test_given_a_large_photo_when_decoded_then_it_is_shrunk_on_the_way(tmp_path: Path) -> None:
    photo = photo_of(tmp_path, blobs(4))

    assert decode_reduced(photo, 320).shape == (240, 320, 3)
    assert decode_reduced(photo, 5000).shape == (960, 1280, 3)


def test_given_points_when_ranked_then_every_cell_gives_its_largest_first() -> None:
    rng = np.random.default_rng(1)
    places = rng.uniform(0, 800, (5000, 2)).astype(np.float32)
    sizes = rng.uniform(1, 10, 5000).astype(np.float32)
    sizes[places[:, 0] < 400] += 20

    chosen = rank_by_scale(places, sizes, (800, 800), 640)

    left = places[chosen][:, 0] < 400
    assert left.mean() == pytest.approx(0.5, abs=0.01)
    assert sizes[chosen[~left]].min() > np.median(sizes[places[:, 0] >= 400])


def test_given_blur_when_measured_then_sharpness_falls(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), 2), np.uint8)

    sharp = extract_features(photo_of(tmp_path, picture), 320, 500)
    blurred = extract_features(photo_of(tmp_path, soft), 320, 500)

    assert blurred.sharpness < sharp.sharpness / 4


def test_given_a_flat_photo_when_searched_then_it_has_no_features(tmp_path: Path) -> None:
    features = extract_features(photo_of(tmp_path, np.full((*SIZE, 3), 128, np.uint8)), 320, 500)

    assert features.points.shape == (0, 2)
    assert features.descriptors.shape == (0, 128)


def test_given_features_on_disk_when_run_again_then_photos_are_not_decoded(tmp_path: Path) -> None:
    photos = [photo_of(tmp_path, noise(seed), f"{seed}.jpg") for seed in range(3)]
    options = EngineOptions(max_concurrency=2)
    _, first, _ = extract_all(photos, tmp_path / "work", options, silent)
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "work/features").iterdir()}

    _, second, _ = extract_all(photos, tmp_path / "work", options, silent)

    assert all(
        np.array_equal(one.descriptors, two.descriptors) for one, two in zip(first, second, strict=True)
    )
    assert stored == {path: path.stat().st_mtime_ns for path in (tmp_path / "work/features").iterdir()}


def test_given_an_undecodable_photo_when_searched_then_the_others_remain(tmp_path: Path) -> None:
    photos = [photo_of(tmp_path, noise(seed), f"{seed}.jpg") for seed in range(3)]
    photos[1].path.write_bytes(b"swapped for nonsense")

    kept, features, left_out = extract_all(photos, tmp_path / "work", EngineOptions(), silent)

    assert [photo.name for photo in kept] == ["0.jpg", "2.jpg"]
    assert len(features) == 2
    assert [(one.name, one.code) for one in left_out] == [("1.jpg", "not_an_image")]
