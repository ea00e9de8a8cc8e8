"""What a computed image leaves, row by row: the FITS file and its pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from astropy.io import fits

from datalab.fits.results import image_result
from tests.datalab.operations.working import FolderWork

KEY = "ab" * 32
HEIGHT, WIDTH = 300, 400


@pytest.fixture
def work(tmp_path: Path) -> FolderWork:
    """Return work in an empty folder."""
    return FolderWork(tmp_path, tmp_path, {"computation_key": KEY})


def test_the_file_says_what_it_is_and_has_the_first_inputs_header(work: FolderWork) -> None:
    """Row: output FITS; Row: fault 9, results that were quantised without a word."""
    pixels = np.random.default_rng(1).normal(1000, 30, (HEIGHT, WIDTH)).astype(np.float32)
    pixels[5, 5] = np.nan
    header = fits.Header({"OBJECT": "M 67", "FILTER": "rp"})

    made = image_result(work, "median", pixels, header, inputs=["a", "b"], operation="Median")

    assert made.fits
    with fits.open(made.fits) as units:
        assert units[0].header["DLAB_KEY"] == KEY
        assert units[0].header["COMMENT"][0].startswith("Median of datalab")
        assert (units["SCI"].header["OBJECT"], units["SCI"].header["FILTER"]) == ("M 67", "rp")
        np.testing.assert_array_equal(units["SCI"].data, pixels)


def test_the_pictures_are_as_large_as_the_image_and_small(work: FolderWork) -> None:
    """Row: JPEG, upside down as displays have it."""
    pixels = np.zeros((HEIGHT, WIDTH), np.float32) + 100
    pixels += np.random.default_rng(2).normal(0, 3, pixels.shape).astype(np.float32)
    pixels[:50] += 1000  # the lowest rows of the sky are the lowest of the picture

    made = image_result(work, "median", pixels, fits.Header(), inputs=["a"], operation="Median")

    assert made.large_jpg
    assert made.small_jpg
    large, small = (np.array(cv2.imread(str(path))) for path in (made.large_jpg, made.small_jpg))
    assert large.shape[:2] == (HEIGHT, WIDTH)
    assert max(small.shape[:2]) == 200
    assert large[-40:].mean() > large[:40].mean() + 50
