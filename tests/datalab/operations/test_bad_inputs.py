"""Every operation says what is wrong with its input files, whatever that is, and names the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from astropy.io import fits
from pydantic import ValidationError

from datalab.operations.operation import OperationError, Results
from datalab.operations.registry import registry
from tests.datalab.operations.asking import ASKED, FLAT
from tests.datalab.operations.working import FolderWork
from tests.support.star_fields import Field, star_field, write_banzai

PLACE: Final = {"ra": 150.0, "dec": 2.2}
BY_CATALOGUE: Final = ("Light Curve", "Variable Star", "HR Diagram")
BY_STARS: Final = (*BY_CATALOGUE, *(name for name in ASKED if "Photometry" in name))
ON_THE_SKY: Final = ("Mosaic", *BY_STARS)
NEED_NUMBERS: Final = ("Normalization", "Sigma-Clipped Stack", "Calibrate", *BY_STARS)


def field(**how: Any) -> Field:
    return star_field(size=72, stars=6, separation_px=18, pixel_scale_arcsec=1.5, seed=11, **how)


def not_fits(path: Path) -> None:
    path.write_bytes(b"%PDF-1.7 no stars")


def no_image(path: Path) -> None:
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([], name="CAT")]).writeto(path)


def a_cube(path: Path) -> None:
    fits.PrimaryHDU(np.zeros((3, 8, 8), np.float32)).writeto(path)


def truncated(path: Path) -> None:
    write_banzai(path, field())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def nothing_but_nan(path: Path) -> None:
    write_banzai(path, field(nan_fraction=1.0), compress="gzip", cat=False)


def no_wcs(path: Path) -> None:
    write_banzai(path, field(wcs=False), compress="gzip", cat=False)


def no_catalogue(path: Path) -> None:
    write_banzai(path, star_field(size=72, stars=0), compress="gzip", cat=False)


def of_another_size(path: Path) -> None:
    write_banzai(path, star_field(size=(60, 90), stars=6, pixel_scale_arcsec=1.5), compress="gzip")


def through_another_filter(path: Path) -> None:
    write_banzai(path, field(band="ip"), compress="gzip")


UNREADABLE: Final[Mapping[str, str]] = {
    "not-fits": "is not a FITS file",
    "no-image": "has no image",
    "a-cube": "has no image of two dimensions, but one of 8 x 8 x 3",
    "truncated": "is truncated: it ends ",
}
MADE: Final[Mapping[str, Callable[[Path], None]]] = {
    "not-fits": not_fits,
    "no-image": no_image,
    "a-cube": a_cube,
    "truncated": truncated,
    "nan": nothing_but_nan,
    "lost": no_wcs,
    "empty": no_catalogue,
    "wide": of_another_size,
    "ip": through_another_filter,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with good and bad images, and one of even light."""
    folder = tmp_path_factory.mktemp("files")
    write_banzai(folder / "good.fits", field(), compress="gzip")
    FolderWork(folder, folder).add(FLAT, np.full((72, 72), 9000, np.float32))
    for name, make in MADE.items():
        make(folder / f"{name}.fits")
    return folder


@pytest.fixture
def night(files: Path, tmp_path: Path) -> FolderWork:
    """Give those images, and a folder for results."""
    return FolderWork(files, tmp_path)


def computed(name: str, work: FolderWork, *names: str) -> Results:
    operation = registry()[name]
    asked = ASKED[name]([{"basename": one} for one in names], PLACE)
    return operation.compute(operation.inputs.model_validate(asked), work)


def test_all_operations_are_tried() -> None:
    assert set(ASKED) == {operation.name for operation in registry()}


@pytest.mark.parametrize("bad", UNREADABLE)
@pytest.mark.parametrize("name", ASKED)
def test_a_file_that_is_no_image_is_named(night: FolderWork, name: str, bad: str) -> None:
    with pytest.raises(OperationError) as caught:
        computed(name, night, f"{bad}.fits", f"{bad}.fits")

    assert f"{bad}.fits {UNREADABLE[bad]}" in str(caught.value)


@pytest.mark.parametrize("name", sorted({*ASKED} - {*NEED_NUMBERS}))
def test_images_of_nothing_but_nan_have_results_of_nothing(night: FolderWork, name: str) -> None:
    for output in computed(name, night, "nan.fits", "nan.fits").files:
        if output.fits is not None:
            with fits.open(output.fits) as parts:
                assert np.isnan(parts["SCI"].data).all()


@pytest.mark.parametrize("name", NEED_NUMBERS)
def test_images_of_nothing_but_nan_are_said_where_numbers_are_needed(night: FolderWork, name: str) -> None:
    with pytest.raises(OperationError, match=r"nan\.fits cannot|without light|no good pixels"):
        computed(name, night, "nan.fits", "nan.fits")


@pytest.mark.parametrize("name", ON_THE_SKY)
def test_a_missing_wcs_is_said_where_it_is_needed(night: FolderWork, name: str) -> None:
    with pytest.raises(OperationError, match="the header has no WCS"):
        computed(name, night, "lost.fits", "lost.fits")


@pytest.mark.parametrize("name", BY_STARS)
def test_a_missing_catalogue_is_made_up_for_by_stars_that_are_found_or_said(
    night: FolderWork, name: str
) -> None:
    with pytest.raises(OperationError, match="no sources were found in the image"):
        computed(name, night, "empty.fits", "empty.fits")


@pytest.mark.parametrize("name", sorted({*ASKED} - {*BY_STARS, "Calibrate"}))
def test_images_of_mixed_sizes_are_worked_on(night: FolderWork, name: str) -> None:
    results = computed(name, night, "good.fits", "wide.fits")

    assert results.files or results.data


def test_calibrate_takes_images_of_one_size(night: FolderWork) -> None:
    with pytest.raises(
        OperationError, match=r"wide\.fits has 90 x 60 pixels and the first input file 72 x 72"
    ):
        computed("Calibrate", night, "good.fits", "wide.fits")


@pytest.mark.parametrize("name", [name for name in BY_STARS if name != "HR Diagram"])
def test_mixed_filters_are_said_where_magnitudes_are_compared(night: FolderWork, name: str) -> None:
    with pytest.raises(OperationError, match=r"through ip \(ip\.fits\), rp \(good\.fits\)"):
        computed(name, night, "good.fits", "ip.fits")


@pytest.mark.parametrize("count", [0, 1000])
@pytest.mark.parametrize("name", sorted({*ASKED} - {"Color Image", "HR Diagram"}))
def test_no_input_and_a_thousand_are_refused(name: str, count: int) -> None:
    asked = ASKED[name]([{"basename": "one"}] * 2, PLACE) | {"input_files": [{"basename": "one"}] * count}

    with pytest.raises(ValidationError, match=r"input_files(.|\n)*at (least|most)"):
        registry()[name].inputs.model_validate(asked)


@pytest.mark.parametrize("name", ["Sigma-Clipped Stack", "Stacking", "Mosaic"])
def test_one_input_is_refused_where_two_are_needed(name: str) -> None:
    with pytest.raises(ValidationError, match="at least 2"):
        registry()[name].inputs.model_validate(ASKED[name]([{"basename": "one"}], PLACE))


@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        ("Sigma-Clipped Stack", "sigma_low"),
        ("Aperture Photometry", "aperture_radius"),
        ("Mosaic", "pixel_scale"),
    ],
)
@pytest.mark.parametrize("value", ["many", "nan", [3]])
def test_a_threshold_that_is_no_number_is_refused(name: str, threshold: str, value: Any) -> None:
    asked = ASKED[name]([{"basename": "one"}] * 2, PLACE) | {threshold: value}

    with pytest.raises(ValidationError, match=threshold):
        registry()[name].inputs.model_validate(asked)


def test_a_threshold_may_come_as_the_text_of_a_number() -> None:
    asked = ASKED["Sigma-Clipped Stack"]([{"basename": "one"}] * 2, PLACE) | {"sigma_low": "2.5"}

    assert registry()["Sigma-Clipped Stack"].inputs.model_validate(asked).model_dump()["sigma_low"] == 2.5


@pytest.mark.parametrize("alignment", ["wcs", "none"])
def test_images_with_sides_that_cannot_be_resampled_are_refused(work: FolderWork, alignment: str) -> None:
    header = star_field(size=16, stars=0).header
    ref = work.add("long.fits", np.zeros((4, 32_767), np.float32), **dict(header))
    color = registry()["Color Image"]
    asked = {
        "color_channels": [
            {"basename": ref.basename, "color": {"r": 1, "g": 2, "b": 3}, "zmin": 0, "zmax": 1}
        ],
        "alignment": alignment,
    }

    with pytest.raises(OperationError, match=r"long\.fits has 32767 x 4 pixels; .* no more than 32766"):
        color.compute(color.inputs.model_validate(asked), work)


def test_images_of_any_side_are_combined_pixel_by_pixel(work: FolderWork) -> None:
    refs = work.add_all("long", [np.full((4, 40_000), value, np.float32) for value in (1, 2, 6)])

    for name in ("Median", "Stacking"):
        operation = registry()[name]
        (output,) = operation.compute(operation.inputs.model_validate({"input_files": refs}), work).files
        assert output.fits is not None
        with fits.open(output.fits) as parts:
            assert (parts["SCI"].data == (2 if name == "Median" else 9)).all()
