"""Aperture Photometry on a sky whose magnitudes are known."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from astropy.io import fits

from datalab.operations.aperture_photometry import AperturePhotometry
from datalab.operations.operation import OperationError, Results
from tests.datalab.photometry.working import APERTURES, night, refs, run, written
from tests.support.star_fields import Field, Variable

VARIABLE = 7
PERIOD_D = 0.041


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("night")


@pytest.fixture(scope="module")
def fields() -> list[Field]:
    return night(12, 14.0, variable=Variable(VARIABLE, 0.3, PERIOD_D), hot_pixels=30, nan_fraction=0.0005)


@pytest.fixture(scope="module")
def paths(folder: Path, fields: list[Field]) -> list[Path]:
    return written(folder, fields)


def measured(folder: Path, paths: list[Path], star: Any, **asked: Any) -> Results:
    place = {"ra": float(star["ra"]), "dec": float(star["dec"])}
    return run(
        AperturePhotometry,
        folder,
        input_files=refs(paths),
        **{"target_positions": [place], **APERTURES, **asked},
    )


@pytest.fixture(scope="module")
def results(folder: Path, fields: list[Field], paths: list[Path]) -> Results:
    return measured(folder, paths, fields[0].truth[VARIABLE])


def test_magnitudes_are_true_within_their_errors(results: Results, fields: list[Field]) -> None:
    rows = results.data[0]["light_curve"]
    truth = np.array([field.truth["mag"][VARIABLE] for field in fields])
    found = np.array([row["mag"] for row in rows])
    errors = np.array([row["magerr"] for row in rows])
    pulls = (found - truth - np.median(found - truth)) / errors
    assert len(rows) == 12
    assert np.abs(found - truth).max() < 0.03
    assert np.abs(pulls).max() < 4.5
    assert 0.001 < np.median(errors) < 0.02


def test_the_period_is_found(results: Results) -> None:
    found = results.data[0]
    assert found["period"] == pytest.approx(PERIOD_D, rel=0.05)
    assert found["fap"] < 0.05
    assert len(found["frequency"]) == len(found["power"])


def test_the_ensemble_is_of_steady_stars_and_not_of_the_target(results: Results, fields: list[Field]) -> None:
    stars = results.data[0]["selected_comparison_stars"]
    truth = fields[0].truth
    assert 5 <= len(stars) <= 10
    for star in stars:
        apart = np.hypot(truth["ra"] - star["ra"], truth["dec"] - star["dec"]) * 3600
        nearest = int(np.argmin(apart))
        assert apart[nearest] < 0.5
        assert nearest != VARIABLE
        assert star["catalog_magnitude"] == pytest.approx(truth["mag"][nearest], abs=0.03)
        assert star["variability_score"] < 0.02


def test_every_image_has_a_picture_of_its_apertures(results: Results) -> None:
    assert len(results.files) == 12
    for file in results.files:
        assert file.diagnostic_jpg
        picture = cv2.imread(str(file.diagnostic_jpg), cv2.IMREAD_COLOR)
        assert picture is not None
        colours = picture.astype(int)
        assert (colours[..., 2] - colours[..., 0] > 80).sum() > 30  # orange: the target
    assert {file.facts["diagnostic_of"] for file in results.files} == set(results.data[0]["diagnostics"])


def test_the_output_is_json_with_finite_numbers(results: Results) -> None:
    json.dumps(results.data, allow_nan=False)
    row = results.data[0]["light_curve"][0]
    assert row["mag"] == row["target_calibrated_apparent_magnitude"]
    assert row["julian_date"] == pytest.approx(row["bjd_tdb"], abs=0.007)
    assert abs(row["zero_point"] - 22.0) < 0.05


def turned(path: Path, cards: dict[str, float]) -> None:
    """Change the WCS of a file."""
    with fits.open(path, mode="update") as units:
        units["SCI"].header.update(cards)


def test_images_that_cannot_be_used_are_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    good = night(4)
    nowhere = night(1, wcs=False)
    elsewhere = night(1, pointing=(150.05, 2.2))
    whole = written(tmp_path, good)
    lost = written(tmp_path, nowhere, stem="lost")
    away = written(tmp_path, elsewhere, stem="away")
    untimed = written(tmp_path, night(1, cards={"EXPTIME": None}), stem="untimed")
    broken = tmp_path / "broken.fits.fz"
    broken.write_bytes(whole[0].read_bytes()[:20_000])
    text = tmp_path / "text.fits"
    text.write_text("no FITS")
    flat = written(tmp_path, night(1), stem="flat")
    turned(flat[0], dict.fromkeys(("CD1_1", "CD1_2", "CD2_1", "CD2_2"), 1e-4))
    fine = written(tmp_path, night(1), stem="fine")
    turned(fine[0], {"CD1_1": -1e-9, "CD2_2": 1e-9})
    blank = written(tmp_path, night(1, nan_fraction=1.0), stem="blank")
    all_paths = [*whole, *lost, *away, *untimed, broken, text, *flat, *fine, *blank]
    target = good[0].truth[np.argmin(good[0].truth["ra"])]
    found = measured(tmp_path, all_paths, target).data[0]
    reasons = found["excluded_reasons"]
    assert len(found["light_curve"]) == 4
    assert set(found["excluded_images"]) == {path.name for path in all_paths[4:]} == set(reasons)
    assert "WCS" in reasons[lost[0].name]
    assert "outside" in reasons[away[0].name]
    assert "EXPTIME" in reasons[untimed[0].name]
    assert "truncated" in reasons[broken.name]
    assert "WCS" in reasons[flat[0].name]
    assert fine[0].name in reasons
    assert "not a FITS file" in reasons[text.name]


def test_images_without_a_catalogue_are_searched_for_stars(tmp_path: Path) -> None:
    fields = night(3)
    found = measured(tmp_path, written(tmp_path, fields, cat=False), fields[0].truth[3]).data[0]
    assert [row["mag"] for row in found["light_curve"]] == pytest.approx(
        [float(field.truth["mag"][3]) for field in fields], abs=0.03
    )


def test_one_image_is_enough(tmp_path: Path) -> None:
    fields = night(1)
    found = measured(tmp_path, written(tmp_path, fields), fields[0].truth[3]).data[0]
    assert found["light_curve"][0]["mag"] == pytest.approx(fields[0].truth["mag"][3], abs=0.03)
    assert "period" not in found


def test_clouds_do_not_change_magnitudes(tmp_path: Path) -> None:
    fields = [*night(3), *night(6, transparency=0.6)[3:]]
    found = measured(tmp_path, written(tmp_path, fields), fields[0].truth[3]).data[0]
    assert [row["mag"] for row in found["light_curve"]] == pytest.approx(
        [float(field.truth["mag"][3]) for field in fields], abs=0.03
    )


def test_images_through_several_filters_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    red, green = night(2), night(2, band="gp")
    paths = [*written(tmp_path, red), *written(tmp_path, green, stem="green")]
    with pytest.raises(OperationError, match=r"same filter.*gp \(green-0000.*rp \(frame-0000"):
        measured(tmp_path, paths, red[0].truth[3])


def test_too_few_stars_are_told(tmp_path: Path) -> None:
    fields = night(2, stars=4)
    with pytest.raises(OperationError, match=r"Only . stars .* at least 5"):
        measured(tmp_path, written(tmp_path, fields), fields[0].truth[1])


def test_a_target_outside_all_images_is_told(folder: Path, paths: list[Path]) -> None:
    with pytest.raises(OperationError, match=r"outside the image \(12 x\)"):
        measured(folder, paths, {"ra": 150.5, "dec": 2.2})


def test_marks_far_apart_are_no_star(folder: Path, paths: list[Path]) -> None:
    marks = [{"ra": 150.0, "dec": 2.2}, {"ra": 150.01, "dec": 2.2}]
    with pytest.raises(OperationError, match="Moving Target Aperture Photometry"):
        measured(folder, paths, marks[0], target_positions=marks)


@pytest.mark.parametrize(
    "asked",
    [
        {"aperture_radius": 0},
        {"aperture_radius": "wide"},
        {"aperture_radius": float("nan")},
        {"annulus_inner_radius": 3.0},
        {"annulus_outer_radius": 10.0},
        {"min_comparisons": 11},
        {"target_positions": []},
        {"target_positions": [{"ra": 400, "dec": 2}]},
        {"target_positions": [{"ra": 10, "dec": float("inf")}]},
        {"input_files": []},
    ],
)
def test_impossible_inputs_are_refused(asked: dict[str, Any]) -> None:
    good = {"target_positions": [{"ra": 10, "dec": 2}], "input_files": [{"basename": "a"}], **APERTURES}
    AperturePhotometry.inputs.model_validate(good)
    with pytest.raises(ValueError, match="validation error"):
        AperturePhotometry.inputs.model_validate({**good, **asked})


def test_a_source_is_taken_for_a_position() -> None:
    asked = {"source": {"ra": "10.5", "dec": -2, "name": "x"}, "input_files": [{"basename": "a"}]}
    inputs = AperturePhotometry.inputs.model_validate(asked).model_dump()
    assert inputs["target_positions"] == ({"ra": 10.5, "dec": -2.0, "mjd": None},)
    assert inputs["aperture_radius"] == 7.64
