"""The actions raw-data, get-tif and get-jpg."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from datalab.analysis import get_jpg, get_tif, raw_data
from datalab.operations.operation import OperationError
from tests.support.star_fields import Field, star_field, write_banzai


def written(folder: Path, field: Field, **how: Any) -> Path:
    return write_banzai(folder / "m51-e91.fits.fz", field, **{"compress": None, "cat": False, **how})


def raw(path: Path, **asked: Any) -> dict[str, Any]:
    return raw_data.answer(path, raw_data.ASK.model_validate({"basename": path.name, **asked}))


def square(found: dict[str, Any]) -> NDArray[np.float64]:
    return np.array(found["data"], float).reshape(found["height"], found["width"])


def test_raw_data_is_a_square_of_means_upside_down(tmp_path: Path) -> None:
    field = star_field(size=(100, 200))
    found = raw(written(tmp_path, field), max_size=50)
    means = field.pixels.reshape(50, 2, 50, 4).mean((1, 3))[::-1]
    assert (found["height"], found["width"]) == (50, 50)
    np.testing.assert_allclose(square(found), means, atol=0.02)


def test_raw_data_has_the_levels_of_the_preview_and_says_how_deep_it_is(tmp_path: Path) -> None:
    field = star_field()
    found = raw(written(tmp_path, field))
    assert found["zmin"] == pytest.approx(np.median(field.pixels), abs=0.5)
    assert found["zmax"] > found["zmin"] + 20
    assert (found["bitdepth"], found["width"]) == (32, 500)
    whole = raw(written(tmp_path, field, dtype="uint16", compress="rice"))
    assert whole["bitdepth"] == 16


def test_the_histogram_counts_in_decades_with_fine_bins_between_the_levels(tmp_path: Path) -> None:
    found = raw(written(tmp_path, star_field()))
    bins, counts = np.array(found["bins"]), np.array(found["histogram"])
    assert len(bins) == len(counts)
    assert (np.diff(bins) > 0).all()
    between = (bins > found["zmin"]) & (bins < found["zmax"])
    assert between.sum() >= 60
    peak = bins[np.argmax(counts)]
    assert abs(peak - 200) < 10
    assert 2 < counts.max() < 4  # log10 of some hundreds or thousands of samples


def test_what_is_unknown_is_null_and_json_holds(tmp_path: Path) -> None:
    field = star_field(size=128)
    field.pixels[:64, :64] = np.nan
    field.pixels[100, 100] = np.inf
    field.bad[:64, 64:] = True
    found = raw(written(tmp_path, field), max_size=64)
    image = square(json.loads(json.dumps(found, allow_nan=False)))
    assert np.isnan(image[32:]).all()  # the lower half: NaN, and bad by the mask
    assert np.isfinite(image[:32]).all()


def test_bad_pixels_do_not_spoil_their_neighbours(tmp_path: Path) -> None:
    field = star_field(size=100, stars=0, hot_pixels=400)
    assert np.nanmax(square(raw(written(tmp_path, field), max_size=50))) < 250


@pytest.mark.parametrize("fraction", [1.0, 0.0])
def test_images_of_nothing_have_answers(tmp_path: Path, fraction: float) -> None:
    field = star_field(size=32, stars=0, nan_fraction=fraction, noise=0, photon_noise=False)
    found = raw(written(tmp_path, field), max_size=8)
    json.dumps(found, allow_nan=False)
    assert found["data"] == [None if fraction else 200.0] * 64
    assert found["zmin"] < found["zmax"]


def test_small_numbers_keep_their_digits(tmp_path: Path) -> None:
    field = star_field(size=64)
    field.pixels[:] /= 200 * 1000  # as normalised images have them, and smaller
    found = raw(written(tmp_path, field), max_size=64)
    np.testing.assert_allclose(square(found)[::-1], field.pixels, atol=1e-6)


@pytest.mark.parametrize("size", [0, -1, 801, "big", 1.5])
def test_sizes_out_of_range_are_refused(size: object) -> None:
    with pytest.raises(ValidationError):
        raw_data.ASK.model_validate({"basename": "a", "max_size": size})


def test_get_tif_writes_sixteen_bits_into_the_folder(tmp_path: Path) -> None:
    field = star_field(size=(60, 80), nan_fraction=0.01)
    (folder := tmp_path / "answers").mkdir()
    path = get_tif.answer(written(tmp_path, field), get_tif.ASK(basename="m51"), folder)
    assert path.parent == folder
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.dtype == np.uint16
    assert picture.shape == (60, 80)
    brightest = np.unravel_index(np.nanargmax(field.pixels), field.pixels.shape)
    assert picture[59 - brightest[0], brightest[1]] == 65535


def jpg(path: Path, **asked: Any) -> NDArray[np.uint8]:
    found = get_jpg.answer(path, get_jpg.ASK.model_validate({"basename": "m51", **asked}))
    content = np.frombuffer(base64.b64decode(found["jpg_base64"], validate=True), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture)


def test_get_jpg_is_between_the_levels_that_are_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, star_field(size=(60, 80)))
    assert jpg(path).shape == (60, 80)
    assert jpg(path, zmin=1e6, zmax=2e6).max() < 8
    assert jpg(path, zmin=-2e6, zmax=-1e6).min() > 247
    assert jpg(path, zmin=100, zmax=300).mean() > jpg(path, zmin=190, zmax=5000).mean()


def test_levels_of_get_jpg_must_be_in_order(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="zmin must be less"):
        get_jpg.ASK.model_validate({"basename": "a", "zmin": 5, "zmax": 5})
    with pytest.raises(OperationError, match="zmin must be less than zmax"):
        jpg(written(tmp_path, star_field(size=32)), zmin=1e9)


@pytest.mark.parametrize("module", [raw_data, get_jpg])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, module: Any) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no image")
    with pytest.raises(OperationError, match="m51 is not a FITS file"):
        module.answer(path, module.ASK(basename="m51"))
