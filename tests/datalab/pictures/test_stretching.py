"""Levels, shades and previews."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from astropy.visualization import ZScaleInterval
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datalab.pictures import preview
from datalab.pictures.encoding import LARGE_PX, SMALL_PX, fitted, write_pair, write_tiff
from datalab.pictures.stretching import GAMMA, Levels, levels, sampled, stretched
from tests.support.star_fields import star_field


@pytest.mark.parametrize("background", [200.0, 5.0, 30_000.0])
def test_levels_are_the_median_and_what_zscale_finds(background: float) -> None:
    pixels = star_field(size=512, stars=60, background=background, hot_pixels=50).pixels
    found = levels(sampled(pixels))
    _, zmax = ZScaleInterval(contrast=0.1, n_samples=10_000, max_iterations=5).get_limits(pixels)
    assert found.zmin == pytest.approx(np.median(pixels), rel=0.005, abs=0.2)
    assert found.zmax - found.zmin == pytest.approx(zmax - found.zmin, rel=0.15)


def test_shades_are_the_formula_and_upside_down() -> None:
    pixels = star_field(size=128).pixels
    shades = stretched(pixels, Levels(150, 900), np.uint8)
    part = np.clip((pixels.astype(float) - 150) / 750, 0, 1)
    bright = part > 0.01  # below, the table's steps show
    expected = np.rint(part ** (1 / GAMMA) * 255)
    assert np.abs(shades[::-1].astype(int) - expected)[bright].max() <= 1
    assert np.abs(shades[::-1].astype(int) - expected).max() <= 10
    deep = stretched(pixels, Levels(150, 900), np.uint16)
    np.testing.assert_allclose(deep[::-1], part ** (1 / GAMMA) * 65535, atol=800)


@given(
    pixels=arrays(
        st.sampled_from([np.float32, np.float64, np.uint16, np.int16, np.uint8]),
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
    )
)
@settings(max_examples=80, deadline=None)
def test_any_image_has_levels_and_shades(pixels: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    found = levels(sampled(pixels))
    assert np.isfinite(found).all()
    assert found.zmax > found.zmin
    for kind, most in ((np.uint8, 255), (np.uint16, 65535)):
        shades = stretched(pixels, found, kind)  # type: ignore[type-var]
        assert shades.shape == pixels.shape
        white = np.flipud(pixels >= np.float32(found.zmax))
        assert (shades[white] == most).all() or np.float32(found.zmin) == np.float32(found.zmax)


@pytest.mark.parametrize("value", [0.0, 7.5, -3e4, 65535.0])
def test_an_even_image_is_black(value: float) -> None:
    pixels = np.full((40, 30), value, np.float32)
    found = levels(sampled(pixels))
    assert found.zmin == value < found.zmax
    assert (stretched(pixels, found, np.uint8) == 0).all()


def test_what_is_no_number_is_black_and_infinite_light_is_white() -> None:
    pixels = np.array([[np.nan, np.inf], [-np.inf, 5.0]], np.float32)
    np.testing.assert_array_equal(stretched(pixels, Levels(0, 5), np.uint8), [[0, 255], [0, 255]])
    assert levels(sampled(np.full((9, 9), np.nan))) == (0.0, 1.0)


def test_a_preview_is_a_large_and_a_small_jpeg(tmp_path: Path) -> None:
    pixels = star_field(size=(300, 400)).pixels
    pixels[:50] = 1e6  # the first rows are at the bottom
    large, small = preview(pixels, tmp_path, "m51")
    assert (large.name, small.name) == ("m51-large.jpg", "m51-small.jpg")
    pictures = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (large, small)]
    assert [picture.shape for picture in pictures if picture is not None] == [(300, 400), (150, SMALL_PX)]
    assert pictures[0] is not None
    assert pictures[0][-40:].min() > 240
    assert pictures[0][:200].mean() < 120


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 5000), (3, 2)], ids=["one pixel", "one long row", "a few pixels"]
)
def test_previews_of_odd_images_are_written(tmp_path: Path, shape: tuple[int, int]) -> None:
    large, small = preview(np.zeros(shape, np.float32), tmp_path, "odd")
    for path in (large, small):
        assert cv2.imread(str(path)) is not None


def test_large_pictures_are_bounded() -> None:
    picture = np.zeros((10, LARGE_PX + 100), np.uint8)
    assert fitted(picture, LARGE_PX).shape == (10, LARGE_PX)
    assert fitted(picture[:, :50], LARGE_PX).shape == (10, 50)


def test_pictures_that_cannot_be_written_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        write_pair(np.zeros((4, 4), np.uint8), tmp_path / "nowhere", "x")
    with pytest.raises(OSError, match="cannot be written"):
        write_tiff(np.zeros((4, 4), np.uint16), tmp_path / "nowhere" / "x.tif")
