"""Stacking, against numpy, reproject and what is known of the sky."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from pydantic import ValidationError
from reproject import reproject_adaptive

from datalab.composing.grids import Grid
from datalab.composing.placing import Image, placed_on_sky, strips
from datalab.fits.reader import FrameReader, read_frame
from datalab.operations.operation import OperationError, Results
from datalab.operations.stacking import Stacking, StackingInputs
from tests.datalab.photometry.working import refs, run, written
from tests.support.star_fields import star_field

BACKGROUND = 200.0
SKY: dict[str, Any] = {"stars": 16, "separation_px": 34, "magnitudes": (12.5, 14.5), "hot_pixels": 40}


def stacked(folder: Path, paths: list[Path], **asked: Any) -> tuple[NDArray[Any], fits.Header]:
    """Return pixels and header of the one result."""
    results = run(Stacking, folder, input_files=refs(paths), **asked)
    return image_of(results)


def image_of(results: Results) -> tuple[NDArray[Any], fits.Header]:
    (output,) = results.files
    assert output.fits is not None
    with fits.open(output.fits) as hdus:
        return hdus["SCI"].data.copy(), hdus["SCI"].header.copy()


def light(image: NDArray[Any], x: float, y: float, background: float, reach: int = 8) -> float:
    part = image[round(y) - reach : round(y) + reach + 1, round(x) - reach : round(x) + reach + 1]
    return float(np.sum(part - background))


def test_a_simple_stack_is_the_sum_of_the_lower_left_part_that_all_have(tmp_path: Path) -> None:
    sizes: list[int | tuple[int, int]] = [96, 90, (80, 99)]
    fields = [star_field(size=size, stars=5, exposure=number) for number, size in enumerate(sizes)]
    pixels, header = stacked(tmp_path, written(tmp_path, fields))
    expected = np.sum([field.pixels[:80, :90] for field in fields], axis=0, dtype=np.float64)
    np.testing.assert_allclose(pixels, expected, rtol=1e-6)
    assert header["CRVAL1"] == fields[0].header["CRVAL1"]


@pytest.mark.parametrize("missing", ["scale", "ignore"])
def test_missing_pixels_are_made_up_for_or_left_out(tmp_path: Path, missing: str) -> None:
    fields = [
        star_field(size=64, stars=3, exposure=number, nan_fraction=0.1, hot_pixels=30) for number in range(3)
    ]
    pixels, _ = stacked(tmp_path, written(tmp_path, fields), missing_pixels=missing)
    cube = np.array([np.where(field.bad, np.nan, field.pixels) for field in fields], np.float64)
    known = np.isfinite(cube).sum(0)
    expected = np.nansum(cube, axis=0) * (3 / np.maximum(known, 1) if missing == "scale" else 1)
    expected[known == 0] = np.nan
    assert (known < 3).any()
    np.testing.assert_allclose(pixels, expected, rtol=1e-5)


def test_integers_are_added_without_overflow(tmp_path: Path) -> None:
    field = star_field(size=64, stars=0, background=60_000, noise=1, photon_noise=False)
    paths = written(tmp_path, [field] * 3, dtype="uint16", compress="rice", bpm=False)
    pixels, _ = stacked(tmp_path, paths)
    assert np.abs(pixels - 180_000).max() < 60


@pytest.fixture(scope="module")
def dithered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """Three exposures of one sky: dithered, and one of them turned upside down."""
    folder = tmp_path_factory.mktemp("dithered")
    fields = [
        star_field(**SKY),
        star_field(**SKY, exposure=1, pointing=(150.002, 2.2015), rotation_deg=2),
        star_field(**SKY, exposure=2, pointing=(149.9985, 2.1985), rotation_deg=181),
    ]
    return folder, written(folder, fields)


def test_reprojected_stars_are_where_the_new_wcs_says_with_all_their_light(
    dithered: tuple[Path, list[Path]],
) -> None:
    folder, paths = dithered
    pixels, header = stacked(folder, paths, stacking_mode="reproject")
    assert np.isfinite(pixels).all()  # cut to what all cover; bad pixels are made up for
    assert min(pixels.shape) > 200
    truth = star_field(**SKY).truth
    x, y = WCS(header).all_world2pix(truth["ra"], truth["dec"], 0)
    seen = (np.minimum(x, y) > 12) & (x < pixels.shape[1] - 12) & (y < pixels.shape[0] - 12)
    assert seen.sum() >= 6
    for index in np.flatnonzero(seen):
        # a hot pixel within a star costs some of its light: neighbours stand in for it
        found = light(pixels, x[index], y[index], 3 * BACKGROUND)
        assert found == pytest.approx(3 * truth["flux"][index], rel=0.03)


def test_a_reprojected_stack_agrees_with_reproject_adaptive(dithered: tuple[Path, list[Path]]) -> None:
    folder, paths = dithered
    pixels, header = stacked(folder, paths, stacking_mode="reproject")
    frames = [read_frame(path) for path in paths]
    images = [np.where(frame.mask, np.nan, frame.pixels) for frame in frames if frame.mask is not None]
    oracle = np.sum(
        [
            reproject_adaptive(
                (image, WCS(frame.header)),
                WCS(header),
                shape_out=pixels.shape,
                conserve_flux=True,
                bad_value_mode="ignore",
                return_footprint=False,
            )
            for image, frame in zip(images, frames, strict=True)
        ],
        axis=0,
    )
    difference = (pixels - oracle)[5:-5, 5:-5]
    sky = np.abs((pixels + oracle)[5:-5, 5:-5] / 2 - 3 * BACKGROUND) < 60
    # the oracle smooths a little more than linear interpolation: noise differs, the mean must not
    assert np.abs(np.nanmean(difference[sky])) < 0.3
    assert np.nanstd(difference[sky]) < 1.0 * np.nanstd(pixels[5:-5, 5:-5][sky])


def test_the_order_of_inputs_changes_nothing_but_the_grid(dithered: tuple[Path, list[Path]]) -> None:
    folder, paths = dithered
    one, _ = stacked(folder, paths, stacking_mode="reproject")
    other, _ = stacked(folder, [paths[1], paths[0], paths[2]], stacking_mode="reproject")
    assert np.median(one) == pytest.approx(np.median(other), rel=2e-3)


def test_frames_without_wcs_are_stacked_by_their_stars(tmp_path: Path) -> None:
    fields = [
        star_field(),
        star_field(exposure=1, shift=(7.4, -3.2), rotation_deg=4, wcs=False),
        star_field(exposure=2, shift=(-5.1, 6.6)),
    ]
    pixels, header = stacked(tmp_path, written(tmp_path, fields, cat=False), stacking_mode="reproject")
    truth = fields[0].truth
    x, y = WCS(header).all_world2pix(truth["ra"], truth["dec"], 0)
    bright = int(np.argmax(np.where((np.minimum(x, y) > 20) & (np.maximum(x, y) < 220), truth["flux"], 0)))
    assert np.isfinite(pixels).all()
    assert min(pixels.shape) < 250  # cut to what all cover
    found = light(pixels, x[bright], y[bright], 3 * BACKGROUND)
    assert found == pytest.approx(3 * truth["flux"][bright], rel=0.05)


def test_the_strips_that_bound_the_memory_do_not_show(tmp_path: Path) -> None:
    fields = [star_field(size=1100, stars=20, exposure=number, rotation_deg=3 * number) for number in (0, 1)]
    paths = written(tmp_path, fields, bpm=False, cat=False)
    pixels, header = stacked(tmp_path, paths, stacking_mode="reproject")
    assert len(strips(pixels.shape)) > 1
    rows = slice(0, len(pixels))
    with FrameReader(paths[0]) as one, FrameReader(paths[1]) as other:
        placed = placed_on_sky([Image(one), Image(other)], Grid(WCS(header), pixels.shape))
        whole = sum(image.rows(rows).weighted for image in placed)
    np.testing.assert_allclose(pixels, whole, rtol=1e-3)


def test_other_parts_of_the_sky_are_no_stack(tmp_path: Path) -> None:
    paths = written(
        tmp_path, [star_field(size=64, stars=3), star_field(size=64, centre=(150.3, 2.2), stars=3)]
    )
    with pytest.raises(OperationError, match="do not overlap"):
        stacked(tmp_path, paths, stacking_mode="reproject")


def test_stars_of_other_fields_do_not_match(tmp_path: Path) -> None:
    paths = written(tmp_path, [star_field(), star_field(seed=5, wcs=False)], cat=False)
    with pytest.raises(OperationError, match=r"the stars of frame-0001-e91.fits.* do not match"):
        stacked(tmp_path, paths, stacking_mode="reproject")


def test_mixed_filters_are_said(tmp_path: Path) -> None:
    paths = written(tmp_path, [star_field(size=64, band=band, stars=3) for band in ("rp", "gp")])
    results = run(Stacking, tmp_path, input_files=refs(paths))
    assert results.files[0].comment == "Sum of 2 images through the filters gp, rp"


def test_pictures_and_provenance_come_with_the_stack(tmp_path: Path) -> None:
    paths = written(tmp_path, [star_field(size=64, stars=3)] * 2)
    results = run(Stacking, tmp_path, input_files=refs(paths))
    (output,) = results.files
    assert output.large_jpg is not None
    assert output.large_jpg.read_bytes().startswith(b"\xff\xd8")
    assert output.small_jpg is not None
    _, header = image_of(results)
    assert all(path.name in str(header["HISTORY"]) for path in paths)


@pytest.mark.parametrize(
    "asked",
    [
        {"input_files": [{"basename": "one"}]},
        {"input_files": [{"basename": "one"}] * 1000},
        {"input_files": [{"basename": "one"}] * 2, "stacking_mode": "median"},
        {"input_files": "one"},
    ],
    ids=["one input", "1,000 inputs", "no such mode", "no list"],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StackingInputs.model_validate(asked)


def test_frames_of_nothing_but_nan_give_nan(tmp_path: Path) -> None:
    field = star_field(size=64, stars=0, nan_fraction=1.0)
    pixels, _ = stacked(tmp_path, written(tmp_path, [field, field]))
    assert np.isnan(pixels).all()
