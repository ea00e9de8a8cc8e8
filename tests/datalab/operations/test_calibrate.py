"""Calibrate against ccdproc, and Region Statistics against numpy."""

from __future__ import annotations

from typing import Any

import ccdproc
import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import CCDData
from numpy.typing import NDArray
from pydantic import ValidationError

from datalab.operations.calibrate import Calibrate, CalibrateInputs
from datalab.operations.operation import FileRef, OperationError
from datalab.operations.region_statistics import RegionStatistics, RegionStatisticsInputs
from tests.datalab.operations.working import FolderWork, pixels_of

SHAPE = (40, 50)
Pixels = NDArray[Any]


def noisy(level: float, seed: int, vignette: Pixels | float = 1.0) -> Pixels:
    random = np.random.default_rng(seed)
    return np.asarray((level * vignette + random.normal(0, 3, SHAPE)).round().clip(0), np.uint16)


def vignette() -> Pixels:
    rows, columns = np.indices(SHAPE)
    return 1 - ((rows - 20) ** 2 + (columns - 25) ** 2) / 4000


def ccd(pixels: Pixels) -> CCDData:
    return CCDData(pixels.astype(np.float64), unit="adu")


def middle(*frames: Pixels) -> Pixels:
    return np.asarray(np.median(frames, axis=0), np.float64)


def test_a_raw_image_is_calibrated_as_by_ccdproc(work: FolderWork) -> None:
    biases = [noisy(300, seed) for seed in range(5)]
    darks = [noisy(300 + 2 * 60, 10 + seed) for seed in range(3)]
    flats = [noisy(20_000, 20 + seed, vignette()) + np.uint16(320) for seed in range(3)]
    raw = noisy(5000, 30, vignette()) + np.uint16(300 + 2 * 20)
    asked = CalibrateInputs(
        input_files=work.add_all("raw", [raw], EXPTIME=20.0, FILTER="rp"),
        bias_files=work.add_all("bias", biases, EXPTIME=0.0),
        dark_files=work.add_all("dark", darks, EXPTIME=60),
        flat_files=work.add_all("flat", flats, EXPTIME=10.0, FILTER="rp"),
    )

    (output,) = Calibrate.compute(asked, work).files

    bias = ccd(middle(*biases))
    dark = ccd(middle(*(frame - bias.data for frame in darks)))

    def less(frame: Pixels, exposure_s: float) -> CCDData:
        return ccdproc.subtract_dark(
            ccdproc.subtract_bias(ccd(frame), bias),
            dark,
            dark_exposure=60 * u.s,
            data_exposure=exposure_s * u.s,
            scale=True,
        )

    singles = [less(flat, 10).data for flat in flats]
    flat = middle(*(single / np.median(single) for single in singles))
    wanted = ccdproc.flat_correct(less(raw, 20), ccd(flat), norm_value=float(np.median(flat)))
    found = pixels_of(output)
    assert np.allclose(found, wanted.data, rtol=1e-6)
    assert abs(found.mean() - 5000 * np.median(vignette())) < 5
    assert found.std() < 10


def test_bad_pixels_of_the_image_and_of_a_mask_are_left_out(work: FolderWork) -> None:
    raw, bad, mask = noisy(500, 1), np.zeros(SHAPE, np.bool_), np.zeros(SHAPE, np.int16)
    bad[3, 4], mask[5, 6] = True, 2
    asked = CalibrateInputs(
        input_files=(work.add("raw.fits", raw, bad),), mask_files=(work.add("m.fits", mask),)
    )

    (output,) = Calibrate.compute(asked, work).files

    found = pixels_of(output)
    assert np.argwhere(np.isnan(found)).tolist() == [[3, 4], [5, 6]]
    assert found[0, 0] == raw[0, 0]


def test_a_flat_that_is_dark_somewhere_leaves_that_out(work: FolderWork) -> None:
    flat = noisy(1000, 2)
    flat[7, 8] = 0
    asked = CalibrateInputs(
        input_files=work.add_all("raw", [noisy(500, 1)] * 2), flat_files=work.add_all("flat", [flat])
    )

    results = Calibrate.compute(asked, work)

    assert [int(np.isnan(pixels_of(output)).sum()) for output in results.files] == [1, 1]
    assert work.told == sorted(work.told)
    assert work.told[-1] == 1


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({"dark": {"EXPTIME": 60.0}}, "raw-0.fits was exposed for 20 s, the darks for 60 s"),
        ({"dark": {}}, "dark-0.fits has no exposure time"),
        ({"bias": {}, "dark": {"EXPTIME": 0.0}}, "dark-0.fits is a dark that was exposed for 0 s"),
        ({"flat": {"FILTER": "gp"}}, "raw-0.fits is in rp, the flats in gp"),
    ],
)
def test_what_cannot_be_calibrated_so_is_refused(work: FolderWork, kinds: dict[str, Any], said: str) -> None:
    frames = {f"{kind}_files": work.add_all(kind, [noisy(300, 1)], **cards) for kind, cards in kinds.items()}
    raw = work.add_all("raw", [noisy(500, 1)], EXPTIME=20.0, FILTER="rp")

    with pytest.raises(OperationError) as error:
        Calibrate.compute(CalibrateInputs(input_files=raw, **frames), work)

    assert said in str(error.value)


def test_frames_of_another_size_and_flats_without_light_are_refused(work: FolderWork) -> None:
    raw = work.add_all("raw", [noisy(500, 1)])
    small = work.add_all("small", [noisy(500, 1)[:20]])
    night = work.add_all("night", [np.zeros(SHAPE, np.uint16)])

    with pytest.raises(
        OperationError, match=r"small-0\.fits has 50 x 20 pixels and the first input file 50 x 40"
    ):
        Calibrate.compute(CalibrateInputs(input_files=raw, bias_files=small), work)
    with pytest.raises(OperationError, match=r"night-0\.fits is a flat without light"):
        Calibrate.compute(CalibrateInputs(input_files=raw, flat_files=night), work)


def test_there_must_be_something_to_calibrate_with() -> None:
    with pytest.raises(ValidationError, match="give bias, dark or flat files, or a mask"):
        CalibrateInputs(input_files=(FileRef(basename="a"),))


def rows_of(work: FolderWork, ref: FileRef, regions: str = "") -> list[dict[str, Any]]:
    asked = RegionStatisticsInputs(input_files=(ref,), regions=regions)
    (answer,) = RegionStatistics.compute(asked, work).data
    return list(answer["region_statistics"])


def test_regions_are_counted_as_ds9_counts_pixels(work: FolderWork) -> None:
    image = np.arange(2000, dtype=np.float32).reshape(SHAPE)
    ref = work.add("a.fits", image)

    box, circle = rows_of(work, ref, "box(11, 6, 3, 1); circle(21,31,1)")

    assert (box["count"], box["min"], box["max"], box["sum"]) == (
        3,
        image[5, 9],
        image[5, 11],
        image[5, 9:12].sum(),
    )
    assert (circle["count"], circle["median"], circle["region"]) == (5, image[30, 20], "circle(21,31,1)")


def test_statistics_are_those_of_numpy_without_what_is_bad(work: FolderWork) -> None:
    image = noisy(1000, 1).astype(np.float32)
    image[0, :5] = np.nan
    mask = np.zeros(SHAPE, np.bool_)
    mask[1, :7] = True
    ref = work.add("a.fits", image, mask)
    valid = image[~mask & np.isfinite(image)].astype(np.float64)

    (row,) = rows_of(work, ref)

    assert (row["pixels"], row["count"], row["nan_count"], row["bad_count"]) == (2000, 1988, 5, 7)
    for name, compute in (("mean", np.mean), ("std", np.std), ("median", np.median), ("sum", np.sum)):
        assert row[name] == pytest.approx(compute(valid), rel=1e-12)


def test_an_image_without_numbers_has_none_in_its_statistics(work: FolderWork) -> None:
    (row,) = rows_of(work, work.add("a.fits", np.full(SHAPE, np.nan, np.float32)))

    assert (row["count"], row["mean"], row["sum"]) == (0, None, None)


@pytest.mark.parametrize(
    "regions", ["box(1,2,3)", "circle(1,2,-3)", "moon(1,2,3)", "box(1,1,1,1);" * 1001, "circle(1e9,1,1)"]
)
def test_regions_that_are_none_are_refused(regions: str) -> None:
    with pytest.raises(ValidationError):
        RegionStatisticsInputs(input_files=(FileRef(basename="a"),), regions=regions)


@pytest.mark.parametrize("region", ["box(500,500,3,3)", "circle(-20,5,3)", "box(-5,-5,2,2)"])
def test_a_region_outside_of_the_image_is_an_error(work: FolderWork, region: str) -> None:
    ref = work.add("a.fits", np.zeros(SHAPE, np.float32))

    with pytest.raises(OperationError, match=r"has no pixel of a\.fits"):
        rows_of(work, ref, region)
