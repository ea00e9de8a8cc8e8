"""Align: images on the pixels of one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from pydantic import ValidationError

from datalab.operations.align import Align, AlignInputs
from datalab.operations.operation import OperationError, OutputFile
from tests.datalab.photometry.working import refs, run, written
from tests.support.star_fields import Field, star_field

REFERENCE = star_field()


def other(**how: Any) -> Field:
    return star_field(exposure=1, pointing=(150.0015, 2.199), rotation_deg=7, **how)


def image(output: OutputFile) -> tuple[Any, fits.Header]:
    assert output.fits is not None
    with fits.open(output.fits) as hdus:
        return hdus["SCI"].data.copy(), hdus["SCI"].header.copy()


@pytest.mark.parametrize(
    ("alignment", "wcs"), [("auto", True), ("stars", True), ("auto", False), ("wcs", True)]
)
def test_stars_come_on_the_pixels_of_the_reference(tmp_path: Path, alignment: str, wcs: bool) -> None:
    paths = written(tmp_path, [REFERENCE, other(wcs=wcs)])
    results = run(Align, tmp_path, input_files=refs(paths), alignment=alignment)
    assert len(results.files) == 2
    pixels, header = image(results.files[1])
    assert pixels.shape == REFERENCE.pixels.shape
    assert header["CRVAL1"] == REFERENCE.header["CRVAL1"]
    np.testing.assert_allclose(WCS(header).pixel_scale_matrix, WCS(REFERENCE.header).pixel_scale_matrix)
    inner = np.s_[60:-60, 60:-60]
    # noise of both, and what linear interpolation does to the tops of stars
    difference = (pixels - REFERENCE.pixels)[inner]
    assert np.abs(np.mean(difference)) < 1.0
    bright = REFERENCE.pixels[inner] > 2_000
    assert np.abs(np.mean(difference[bright])) < 0.05 * REFERENCE.pixels[inner][bright].mean()


def test_the_reference_itself_stays_as_it_is(tmp_path: Path) -> None:
    paths = written(tmp_path, [REFERENCE, other()], bpm=False)
    results = run(Align, tmp_path, input_files=refs(paths))
    pixels, _ = image(results.files[0])
    np.testing.assert_array_equal(pixels, REFERENCE.pixels)


def test_one_of_the_images_can_be_named_the_reference(tmp_path: Path) -> None:
    paths = written(tmp_path, [other(), REFERENCE], bpm=False)
    results = run(Align, tmp_path, input_files=refs(paths), reference_file=refs(paths)[1:])
    np.testing.assert_array_equal(image(results.files[1])[0], REFERENCE.pixels)


def test_another_file_can_be_the_reference(tmp_path: Path) -> None:
    paths = written(tmp_path, [REFERENCE, other(size=200)])
    asked = refs(paths)
    for reference in (asked[1], [asked[1]]):
        results = run(Align, tmp_path, input_files=asked[:1], reference_file=reference)
        (output,) = results.files
        assert image(output)[0].shape == (200, 200)
        assert output.comment == f"{paths[0].name} on the pixels of {paths[1].name}"


def test_what_an_image_does_not_cover_is_empty(tmp_path: Path) -> None:
    paths = written(tmp_path, [REFERENCE, star_field(size=128)])
    results = run(Align, tmp_path, input_files=refs(paths), interpolation="lanczos")
    pixels, _ = image(results.files[1])
    assert np.isnan(pixels).mean() == pytest.approx(0.75, abs=0.02)


def test_a_finer_image_is_brought_on_coarse_pixels_with_all_its_light(tmp_path: Path) -> None:
    coarse = star_field(size=96, pixel_scale_arcsec=1.2, stars=0, noise=1.0, background=0, photon_noise=False)
    fine = star_field(size=256, pixel_scale_arcsec=0.4, background=0, photon_noise=False, noise=1.0)
    paths = written(tmp_path, [coarse, fine])
    results = run(Align, tmp_path, input_files=refs(paths), alignment="wcs")
    pixels, _ = image(results.files[1])
    assert np.nansum(pixels) == pytest.approx(float(fine.pixels.sum()), rel=0.01)


@pytest.mark.parametrize(
    ("frames", "alignment", "message"),
    [
        ([REFERENCE, star_field(seed=9)], "stars", "do not match"),
        ([REFERENCE, star_field(stars=0, wcs=False)], "auto", "do not match"),
        ([REFERENCE, other(wcs=False)], "wcs", "has no WCS"),
        ([REFERENCE, star_field(centre=(150.5, 2.2))], "wcs", "shows no part of the sky"),
    ],
    ids=["other field", "no stars", "no WCS", "disjoint"],
)
def test_what_cannot_be_aligned_is_said(
    tmp_path: Path, frames: list[Field], alignment: str, message: str
) -> None:
    paths = written(tmp_path, frames)
    with pytest.raises(OperationError, match=rf"frame-0001-e91.*{message}"):
        run(Align, tmp_path, input_files=refs(paths), alignment=alignment)


def test_two_references_are_refused() -> None:
    with pytest.raises(ValidationError):
        AlignInputs.model_validate(
            {"input_files": [{"basename": "a"}], "reference_file": [{"basename": "a"}] * 2}
        )
    assert AlignInputs.model_validate({"input_files": [{"basename": "a"}], "reference_file": None})
