"""Results are written lossless, with where they come from, as other readers know it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from datalab.fits.reader import read_frame
from datalab.fits.writer import Compression, write_frame
from tests.support.star_fields import star_field, write_banzai

KEY = "0123456789abcdef" * 4


def saved(
    path: Path, pixels: Any, compression: Compression, header: fits.Header | None = None
) -> fits.HDUList:
    write_frame(
        path,
        pixels,
        header or fits.Header(),
        inputs=["one.fits.fz", "two \u2603.fits"],
        operation="Median",
        parameters={"kappa": 3.0},
        version=7,
        key=KEY,
        compression=compression,
    )
    return fits.open(path)


@pytest.mark.parametrize("compression", ["gzip", "none"])
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_pixels_come_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, compression: Compression, height: int, width: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    pixels = random.normal(1000, 30, (height, width)).astype(np.float32)
    pixels[random.random(pixels.shape) < 0.1] = np.nan
    pixels[0, 0] = -np.inf
    path = tmp_path_factory.mktemp("written") / "a.fits"

    with saved(path, pixels, compression) as units:
        units.verify("exception")
        assert units["SCI"].data.tobytes() == pixels.astype(units["SCI"].data.dtype).tobytes()
    assert read_frame(path).pixels.tobytes() == pixels.tobytes()
    assert path.stat().st_size % 2880 == 0


def test_images_of_several_tiles_come_back_too(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(1000, 30, (700, 701)).astype(np.float32)

    with saved(tmp_path / "a.fits", pixels, "gzip") as units:
        assert np.array_equal(units["SCI"].data, pixels)
        assert np.array_equal(units["SCI"].section[200:300], pixels[200:300])


@pytest.mark.parametrize("steps", [0.25, 1e-4, 0.0])
def test_images_of_few_values_and_of_noise_come_back_by_every_reader(tmp_path: Path, steps: float) -> None:
    pixels = np.random.default_rng(0).normal(1000, 12, (300, 400)).astype(np.float32)
    if steps:
        pixels = (np.round(pixels / steps) * steps).astype(np.float32)

    with saved(tmp_path / "a.fits", pixels, "gzip") as units:
        assert np.array_equal(units["SCI"].data, pixels)
    assert np.array_equal(read_frame(tmp_path / "a.fits").pixels, pixels)
    assert (tmp_path / "a.fits").stat().st_size < (0.3 if steps == 0.25 else 0.85) * pixels.nbytes


def test_what_is_quantised_says_so(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(1000, 32, (100, 100)).astype(np.float32)

    with saved(tmp_path / "a.fits", pixels, "rice") as units:
        assert 0 < np.abs(units["SCI"].data - pixels).max() < 32 / 16
        assert "lossy" in str(units["SCI"].header["HISTORY"])
    with saved(tmp_path / "b.fits", pixels, "gzip") as units:
        assert "lossy" not in str(units["SCI"].header["HISTORY"])


@pytest.mark.parametrize("compression", ["gzip", "none", "rice"])
def test_the_header_says_where_the_image_comes_from(tmp_path: Path, compression: Compression) -> None:
    field = star_field(size=64)
    header = read_frame(write_banzai(tmp_path / "in.fits.fz", field)).header

    with saved(tmp_path / "out.fits", field.pixels, compression, header) as units:
        made = units["SCI"].header
        assert units[0].header["DLAB_KEY"] == KEY
    assert (made["DLAB_KEY"], made["DLAB_OP"], made["DLAB_VER"], made["DLAB_N"]) == (KEY, "Median", 7, 2)
    history = str(made["HISTORY"])
    assert 'with {"kappa": 3.0}' in history
    assert "input one.fits.fz" in history
    assert "input two ?.fits" in history
    for card in ("CRVAL1", "CD1_1", "FILTER", "EXPTIME", "OBJECT"):
        assert made[card] == header[card]
    assert made.count("BITPIX") == 1
    assert "BZERO" not in made


def test_the_header_of_a_result_can_be_that_of_the_next_one(tmp_path: Path) -> None:
    pixels = star_field(size=64).pixels
    with saved(tmp_path / "a.fits", pixels, "gzip"):
        first = read_frame(tmp_path / "a.fits")
    with saved(tmp_path / "b.fits", first.pixels, "none", first.header) as units:
        units.verify("exception")
        assert str(units["SCI"].header["HISTORY"]).count("input one.fits.fz") == 2
        assert units["SCI"].header.count("DLAB_KEY") == 1
