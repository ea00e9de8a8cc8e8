"""Median, Sigma-Clipped Stack, Normalization and Subtraction against numpy and astropy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from astropy.stats import sigma_clip
from numpy.typing import NDArray
from pydantic import ValidationError

from datalab.domain.keys import unordered_of
from datalab.fits.series import opened_series
from datalab.operations.median import Median, MedianInputs
from datalab.operations.normalization import Normalization, NormalizationInputs
from datalab.operations.operation import FileRef, OperationError
from datalab.operations.sigma_clipped_stack import SigmaClippedStack, SigmaClippedStackInputs
from datalab.operations.subtraction import Subtraction, SubtractionInputs
from tests.datalab.operations.working import FolderWork, header_of, pixels_of
from tests.support.star_fields import star_field, write_banzai


def test_the_order_of_images_means_nothing_where_no_parameter_goes_with_them() -> None:
    assert unordered_of(Median) == {"input_files"}
    assert unordered_of(SigmaClippedStack) == set()  # weights


def images(count: int, shape: tuple[int, int] = (40, 60), kind: str = "uint16") -> list[NDArray[Any]]:
    random = np.random.default_rng(1)
    return [random.normal(1000, 30, shape).astype(kind) for _ in range(count)]


def median_of(work: FolderWork, *refs: FileRef) -> NDArray[Any]:
    (output,) = Median.compute(MedianInputs(input_files=refs), work).files
    return pixels_of(output)


@pytest.mark.parametrize(
    ("kind", "compression"),
    [("uint16", None), ("uint16", "RICE_1"), ("int16", "GZIP_2"), ("int32", "RICE_1"), ("float32", None)],
)
def test_the_median_of_files_is_that_of_numpy(work: FolderWork, kind: str, compression: str | None) -> None:
    stack = images(6, kind=kind)
    refs = [work.add(f"{index}.fits", image, compression=compression) for index, image in enumerate(stack)]

    assert np.array_equal(median_of(work, *refs), np.median(stack, axis=0).astype(np.float32))
    assert work.told == sorted(work.told)
    assert work.told[-1] == 1


def test_the_median_of_one_image_is_that_image(work: FolderWork) -> None:
    (image,) = images(1)

    assert np.array_equal(median_of(work, work.add("one.fits", image)), image.astype(np.float32))


def test_median_of_reduced_frames_leaves_out_bad_pixels(work: FolderWork) -> None:
    fields = [star_field(size=64, stars=8, exposure=index, hot_pixels=40) for index in range(5)]
    refs = []
    for index, field in enumerate(fields):
        write_banzai(work.files / f"{index}.fits.fz", field, compress="gzip")
        refs.append(FileRef(basename=f"{index}.fits.fz"))
    valid = [np.where(field.bad, np.nan, field.pixels) for field in fields]

    (output,) = Median.compute(MedianInputs(input_files=tuple(refs)), work).files

    assert np.array_equal(pixels_of(output), np.nanmedian(valid, axis=0).astype(np.float32), equal_nan=True)
    header = header_of(output)
    assert header["CRVAL1"] == fields[0].header["CRVAL1"]
    assert (header["DLAB_OP"], header["DLAB_N"], header["DLAB_KEY"]) == ("Median", 5, "ab" * 32)
    assert "input 4.fits.fz" in str(header["HISTORY"])


def test_images_of_other_sizes_are_cut_to_their_common_lower_left(work: FolderWork) -> None:
    stack = [images(1, shape)[0] for shape in ((40, 60), (50, 30), (45, 45))]

    found = median_of(work, *work.add_all("a", stack))

    wanted = np.median([image[:40, :30] for image in stack], axis=0)
    assert np.array_equal(found, wanted.astype(np.float32))


@pytest.mark.parametrize(("held_bytes", "rows"), [(1, 1), (6 * 60 * 2 * 7, 7), (6 * 60 * 2 * 20, 16)])
def test_rows_that_do_not_fit_into_memory_together_are_read_apart(
    work: FolderWork, held_bytes: int, rows: int
) -> None:
    """Whole rows of tiles, where some fit."""
    stack = images(6)
    refs = [work.add(f"{index}.fits", image) for index, image in enumerate(stack[1:])]
    refs.append(work.add("tiles.fits", stack[0], compression="HCOMPRESS_1"))
    with opened_series(work, refs) as opened:
        parts = list(replace(opened, held_bytes=held_bytes).parts())

    assert parts[0].rows == slice(0, rows)
    assert np.array_equal(np.concatenate([part.pixels[5] for part in parts]), stack[0])


def test_nothing_but_nan_makes_an_image_of_nan(work: FolderWork) -> None:
    found = median_of(work, *work.add_all("a", [np.full((30, 30), np.nan, np.float32)] * 2))

    assert found.shape == (30, 30)
    assert np.isnan(found).all()


@pytest.mark.parametrize("count", [0, 1000])
def test_no_image_and_more_than_999_are_refused(count: int) -> None:
    with pytest.raises(ValidationError):
        MedianInputs.model_validate({"input_files": [{"basename": str(index)} for index in range(count)]})


@pytest.mark.parametrize("content", [b"%PDF", b""])
def test_the_file_that_is_no_fits_is_named(work: FolderWork, content: bytes) -> None:
    (good,) = work.add_all("a", images(1))
    (work.files / "bad.fits").write_bytes(content)

    with pytest.raises(OperationError, match=r"bad\.fits is not a FITS file"):
        median_of(work, good, FileRef(basename="bad.fits"))


def test_a_sigma_clipped_stack_is_that_of_astropy(work: FolderWork) -> None:
    stack = images(8, kind="float32")
    stack[3][10:20] += 4000
    stack[5][7, 9] = np.nan
    asked = SigmaClippedStackInputs(
        input_files=work.add_all("a", stack), sigma_low=2, sigma_high=2.5, rounds=4, center="mean"
    )

    (output,) = SigmaClippedStack.compute(asked, work).files

    left = sigma_clip(
        np.stack(stack).astype(float)[:, :7],
        sigma_lower=2,
        sigma_upper=2.5,
        maxiters=4,
        cenfunc="mean",
        axis=0,
        masked=False,
    )
    found = pixels_of(output)
    assert np.allclose(found[:7], np.nanmean(left, axis=0), rtol=1.2e-7, atol=0)
    assert found.max() < 1200
    assert 400 / 19200 < output.facts["left_out"] < 0.2


def test_images_of_other_brightness_are_scaled_before_they_are_clipped(work: FolderWork) -> None:
    stack = [image * factor for image, factor in zip(images(4, kind="float32"), (1, 2, 3, 0.5), strict=True)]
    asked = SigmaClippedStackInputs(input_files=work.add_all("a", stack), scale="median", combine="median")

    (output,) = SigmaClippedStack.compute(asked, work).files

    assert abs(np.median(pixels_of(output)) - np.median(stack[0])) < 3


def test_images_with_small_errors_count_more(work: FolderWork) -> None:
    """The mean with inverse variances for weights is the one with the least noise."""
    fields = [
        star_field(size=64, stars=0, exposure=number, noise=noise) for number, noise in enumerate((4, 8, 40))
    ]
    for number, field in enumerate(fields):
        write_banzai(work.files / f"{number}.fits", field, compress="gzip")
    refs = tuple(FileRef(basename=f"{number}.fits") for number in range(3))

    (output,) = SigmaClippedStack.compute(
        SigmaClippedStackInputs(input_files=refs, rounds=0, error_weights="yes"), work
    ).files

    weights = [float(np.median(field.error)) ** -2 for field in fields]
    wanted = np.average([field.pixels.astype(np.float64) for field in fields], axis=0, weights=weights)
    assert np.allclose(pixels_of(output), wanted, rtol=1e-6)
    assert pixels_of(output).std() < fields[0].pixels.std() * 1.05


def test_images_without_errors_cannot_be_weighed_by_them(work: FolderWork) -> None:
    asked = SigmaClippedStackInputs(input_files=work.add_all("a", images(2)), error_weights="yes")

    with pytest.raises(OperationError, match=r"a-0\.fits has no errors"):
        SigmaClippedStack.compute(asked, work)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": [1]},
        {"weights": [1, 2], "error_weights": "yes"},
        {"weights": [1, 0]},
        {"weights": [1, float("nan")]},
        {"weights": "1; 2"},
        {"sigma_low": "many"},
        {"sigma_high": 0.5},
        {"rounds": 51},
        {"combine": "sum"},
    ],
)
def test_parameters_out_of_bounds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SigmaClippedStackInputs.model_validate(
            {"input_files": [{"basename": "a"}, {"basename": "b"}], **wrong}
        )


@pytest.mark.parametrize(("sent", "meant"), [("", None), ("1, 2.5", (1, 2.5)), ([1, 2], (1, 2))])
def test_weights_come_as_forms_send_them(sent: object, meant: tuple[float, ...] | None) -> None:
    asked = {"input_files": [{"basename": "a"}, {"basename": "b"}], "weights": sent}

    assert SigmaClippedStackInputs.model_validate(asked).weights == meant


def test_each_image_is_divided_by_its_own_median(work: FolderWork) -> None:
    stack = images(3)
    mask = np.zeros((40, 60), np.bool_)
    mask[:10] = True
    refs = (*work.add_all("a", stack[:2]), work.add("masked.fits", stack[2], mask))

    results = Normalization.compute(NormalizationInputs(input_files=refs), work)

    assert work.told == [pytest.approx(done / 3) for done in (1, 2, 3)]
    for output, image in zip(results.files[:2], stack, strict=False):
        assert np.allclose(pixels_of(output), image / np.median(image), rtol=1e-7)
    found = pixels_of(results.files[2])
    assert np.isnan(found[mask]).all()
    assert np.allclose(found[10:], stack[2][10:] / np.median(stack[2][10:]), rtol=1e-7)
    assert "median" in str(header_of(results.files[0])["HISTORY"])


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_an_image_without_a_median_cannot_be_normalized(work: FolderWork, value: float) -> None:
    refs = work.add_all("dark", [np.full((9, 9), value, np.float32)])

    with pytest.raises(OperationError, match=r"dark-0\.fits cannot be normalized"):
        Normalization.compute(NormalizationInputs(input_files=refs), work)


def test_one_image_is_subtracted_from_each(work: FolderWork) -> None:
    stack = images(3)
    asked = SubtractionInputs(
        input_files=work.add_all("a", stack[:2]),
        subtraction_file=(work.add("dark.fits", stack[2][:30], stack[2][:30] > 1050),),
    )

    results = Subtraction.compute(asked, work)

    assert work.told == [0.5, 1]
    for output, image in zip(results.files, stack, strict=False):
        wanted = image[:30].astype(np.float32) - stack[2][:30]
        wanted[stack[2][:30] > 1050] = np.nan
        assert np.array_equal(pixels_of(output), wanted, equal_nan=True)
        assert "input dark.fits" in str(header_of(output)["HISTORY"])


@pytest.mark.parametrize("count", [0, 2])
def test_one_file_is_subtracted_and_no_other_number(count: int) -> None:
    one = {"basename": "a"}

    with pytest.raises(ValidationError):
        SubtractionInputs.model_validate({"input_files": [one], "subtraction_file": [one] * count})
