"""Light Curve and Variable Star on catalogues whose truth is known."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datalab.operations.light_curve import LightCurve
from datalab.operations.operation import OperationError, Results
from datalab.operations.variable_star import VariableStar
from datalab.wizard import description
from tests.datalab.photometry.working import night, refs, run, written
from tests.support.star_fields import TAKEN_AT, Field, Variable, star_field, write_series

STAR = 4
PERIOD_D = 0.37


@pytest.fixture(scope="module")
def fields() -> list[Field]:
    hours = [0, 0.9, 2.1, 3.2, 5, 5.9, 24, 25.3, 26.1, 28, 29.4, 48.2, 49, 51.5, 52.4, 53]
    return [
        star_field(
            size=96,
            stars=12,
            seed=2,
            magnitudes=(12.5, 15.0),
            exposure=number,
            date_obs=TAKEN_AT + timedelta(hours=after),
            variable=Variable(STAR, 0.25, PERIOD_D),
        )
        for number, after in enumerate(hours)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nights")


@pytest.fixture(scope="module")
def paths(folder: Path, fields: list[Field]) -> list[Path]:
    return write_series(folder, fields, compress=None, bpm=False, err=False)


def asked(fields: list[Field], paths: list[Path], arcsec: float = 0.0) -> dict[str, Any]:
    star = fields[0].truth[STAR]
    place = {"ra": star["ra"] + arcsec / 3600, "dec": star["dec"], "name": "V", "more": 1}
    return {"source": place, "input_files": refs(paths)}


@pytest.fixture(scope="module")
def curve(folder: Path, fields: list[Field], paths: list[Path]) -> Results:
    return run(LightCurve, folder, **asked(fields, paths, 1.0))


def test_magnitudes_are_the_catalogue_s(curve: Results, fields: list[Field]) -> None:
    rows = curve.data[0]["light_curve"]
    truth = np.array([field.truth["mag"][STAR] for field in fields])
    pulls = np.array([(row["mag"] - wanted) / row["magerr"] for row, wanted in zip(rows, truth, strict=True)])
    assert np.abs(pulls).max() < 4.5
    assert rows[0]["julian_date"] == pytest.approx(fields[0].header["MJD-OBS"] + 2_400_000.5 + 15 / 86400)
    assert curve.data[0]["filter"] == "rp"
    assert curve.data[0]["excluded_images"] == []
    json.dumps(curve.data, allow_nan=False)


def test_the_period_of_a_variable_star_is_found(folder: Path, fields: list[Field], paths: list[Path]) -> None:
    found = run(VariableStar, folder, **asked(fields, paths)).data[0]
    assert found["period"] == pytest.approx(PERIOD_D, rel=0.01)
    assert found["fap"] < 0.01
    assert len(found["frequency"]) == len(found["power"]) > 50
    assert found["light_curve"] == run(LightCurve, folder, **asked(fields, paths)).data[0]["light_curve"]


def test_a_period_takes_eight_images(folder: Path, fields: list[Field], paths: list[Path]) -> None:
    with pytest.raises(ValueError, match="at least 8"):
        VariableStar.inputs.model_validate(asked(fields, paths[:7]))
    few = night(8, 5.0, size=64, stars=6, pixel_scale_arcsec=0.39, wcs=False)
    (folder / "few").mkdir()
    spoilt = written(folder / "few", few, stem="few")
    for path in paths[:7]:
        (folder / "few" / path.name).symlink_to(path)
    with pytest.raises(OperationError, match=r"Only 7 of 8 images .* few-0000"):
        run(VariableStar, folder / "few", **asked(fields, [*paths[:7], spoilt[0]]))


def test_images_without_the_star_or_calibration_are_listed(tmp_path: Path, fields: list[Field]) -> None:
    names = ["good", "uncalibrated", "unfilled", "empty"]
    sky: dict[str, Any] = {"size": 96, "stars": 12, "seed": 2, "magnitudes": (12.5, 15.0)}
    uncalibrated = star_field(**sky, cards={"L1ZP": None})
    unfilled = star_field(**sky, cards={"FILTER": None})
    empty = star_field(size=64, stars=0)
    paths = [
        write_series(tmp_path, [field], stem=name, compress=None, bpm=False)[0]
        for name, field in zip(names, [fields[0], uncalibrated, unfilled, empty], strict=True)
    ]
    found = run(LightCurve, tmp_path, **asked(fields, paths)).data[0]
    reasons = found["excluded_reasons"]
    assert len(found["light_curve"]) == 1
    assert [name.split("-")[0] for name in found["excluded_images"]] == names[1:]
    assert "not calibrated" in reasons[paths[1].name]
    assert "FILTER" in reasons[paths[2].name]
    assert "no sources" in reasons[paths[3].name]


def test_no_image_with_the_star_is_an_error_with_its_reason(folder: Path, paths: list[Path]) -> None:
    away: dict[str, Any] = {"source": {"ra": 10.0, "dec": -20.0}, "input_files": refs(paths[:3])}
    with pytest.raises(OperationError, match=r'no source within 4" of the place \(3 x\)'):
        run(LightCurve, folder, **away)


def test_images_through_several_filters_are_refused(tmp_path: Path) -> None:
    mixed = [star_field(size=64, stars=6, band=band) for band in ("rp", "ip")]
    paths = write_series(tmp_path, mixed, compress=None, bpm=False, err=False)
    place = {"ra": mixed[0].truth["ra"][0], "dec": mixed[0].truth["dec"][0]}
    with pytest.raises(OperationError, match=r"same filter"):
        run(LightCurve, tmp_path, source=place, input_files=refs(paths))


def test_the_wizard_has_the_fields_of_the_contract() -> None:
    for operation, least in ((LightCurve, 1), (VariableStar, 8)):
        forms = description(operation)["inputs"]
        assert list(forms) == ["source", "input_files"]
        assert forms["source"] == {
            "type": "source",
            "name": "Source Star",
            "description": forms["source"]["description"],
            "name_lookup": True,
            "required": True,
        }
        files = forms["input_files"]
        assert files["type"] == "fits"
        assert files["single_filter"]
        assert files["filter_options"] == ["rp", "ip", "gp", "zs"]
        assert (files["minimum"], files["maximum"]) == (least, 999)
