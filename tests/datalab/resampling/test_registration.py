"""Finding how frames lie on each other from their stars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.wcs import WCS

from datalab.composing.grids import sky_mapping
from datalab.kernels.registration import find_stars, match
from tests.support.star_fields import star_field


@pytest.mark.parametrize(
    "changes",
    [
        {"shift": (5.3, -7.7)},
        {"rotation_deg": 33.0, "shift": (-4.4, 9.1)},
        {"rotation_deg": 180.0, "shift": (-25.3, 17.7)},
        {"band": "gp", "transparency": 0.6, "seeing_px": 5.0},
        {"pointing": (150.004, 2.197), "hot_pixels": 80, "nan_fraction": 0.002},
    ],
    ids=["moved", "turned", "upside down", "other filter and seeing", "dithered, with defects"],
)
def test_a_frame_is_laid_on_another_to_a_tenth_of_a_pixel(changes: dict[str, Any]) -> None:
    reference, frame = star_field(hot_pixels=30), star_field(exposure=1, **changes)
    found = match(find_stars(reference.pixels), find_stars(frame.pixels))
    assert found is not None
    assert found.stars >= 12
    assert found.rms_px < 0.2
    x, y = np.random.default_rng(0).uniform(30, 226, (2, 40))
    true_x, true_y = sky_mapping(WCS(reference.header), WCS(frame.header))(x, y)
    there = found(x, y)
    assert np.hypot(there[0] - true_x, there[1] - true_y).max() < 0.1


def test_a_mirrored_and_enlarged_frame_is_laid_on_another() -> None:
    stars = find_stars(star_field().pixels)
    theirs = stars.copy()
    theirs[:, :2] = 1.7 * stars[:, [1, 0]] + (11.0, -3.0)
    found = match(stars, theirs)
    assert found is not None
    np.testing.assert_allclose(found.matrix, [[0, 1.7, 11], [1.7, 0, -3]], atol=1e-6)


@pytest.mark.parametrize("seed", range(1, 5))
def test_other_fields_are_not_taken_for_the_same(seed: int) -> None:
    reference, frame = star_field(), star_field(seed=seed)
    assert match(find_stars(reference.pixels), find_stars(frame.pixels)) is None


def test_chance_is_not_taken_for_a_match() -> None:
    rng = np.random.default_rng(3)
    for count in (5, 8, 20, 60):
        for _ in range(3):
            fields = rng.uniform(0, 300, (2, count, 3))
            assert match(fields[0], fields[1]) is None


@pytest.mark.parametrize("pixels", [np.full((64, 64), np.nan), np.zeros((64, 64)), np.ones((3, 3))])
def test_frames_without_stars_have_none(pixels: np.ndarray[Any, Any]) -> None:
    assert find_stars(pixels).shape == (0, 3)
    assert match(find_stars(pixels), find_stars(pixels)) is None


def test_hot_pixels_are_no_stars_and_masked_stars_are_not_seen() -> None:
    frame = star_field(stars=20, hot_pixels=200)
    found = find_stars(frame.pixels)
    truth = np.column_stack([frame.truth["x"], frame.truth["y"]])
    apart = np.linalg.norm(found[:, None, :2] - truth[None], axis=2).min(1)
    assert (apart < 1.5).mean() > 0.9
    mask = np.zeros(frame.pixels.shape, np.bool_)
    mask[:128] = True
    assert (find_stars(frame.pixels, mask)[:, 1] >= 127).all()


def test_positions_of_stars_are_true_to_some_hundredths_of_a_pixel() -> None:
    frame = star_field(magnitudes=(12.5, 15.0))
    found = find_stars(frame.pixels)
    truth = np.column_stack([frame.truth["x"], frame.truth["y"]])
    apart = np.linalg.norm(found[:, None, :2] - truth[None], axis=2).min(1)
    assert np.median(apart) < 0.05
