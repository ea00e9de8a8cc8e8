"""Targets that move: followed by the telescope, or through images that follow the stars."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import Angle
from astropy.time import Time

from datalab.operations.moving_target_aperture_photometry import MovingTargetAperturePhotometry
from datalab.operations.non_sidereal_aperture_photometry import NonSiderealAperturePhotometry
from datalab.operations.operation import OperationError
from datalab.photometry.asking import TargetPosition
from datalab.photometry.targets import NOT_FOLLOWED
from datalab.photometry.tracks import fit_track
from tests.datalab.photometry.working import APERTURES, night, refs, run, written
from tests.support.star_fields import TAKEN_AT, Field, Moving, star_field

START_MJD = 60370.16684
ASTEROID = Moving(150.02, 2.19, START_MJD, -60.0, 25.0, magnitude=14.0)


@pytest.fixture(scope="module")
def fields() -> list[Field]:
    return night(8, 12.0, moving=ASTEROID, stars=26, seed=21)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("moving")


@pytest.fixture(scope="module")
def paths(folder: Path, fields: list[Field]) -> list[Path]:
    return written(folder, fields)


def marks(fields: list[Field], *which: int, off_arcsec: float = 0.0) -> list[dict[str, float]]:
    seen = [(fields[number].header, fields[number].mover or {}) for number in which]
    return [
        {
            "mjd": header["MJD-OBS"] + header["EXPTIME"] / 86400 / 2,
            "ra": mover["ra"],
            "dec": mover["dec"] + off_arcsec / 3600,
        }
        for header, mover in seen
    ]


def test_a_target_between_its_marks_is_tracked_and_measured(
    folder: Path, fields: list[Field], paths: list[Path]
) -> None:
    positions = marks(fields, 0, 7, off_arcsec=2.0)
    found = run(
        MovingTargetAperturePhotometry,
        folder,
        input_files=refs(paths),
        target_positions=positions,
        **APERTURES,
    ).data[0]
    rows = found["light_curve"]
    assert len(rows) == 8
    for row, field in zip(rows, fields, strict=True):
        assert field.mover
        assert row["target_centroid_x"] == pytest.approx(field.mover["x"], abs=0.1)
        assert row["target_centroid_y"] == pytest.approx(field.mover["y"], abs=0.1)
        assert row["mag"] == pytest.approx(14.0, abs=0.04)
    assert found["target_track"][0]["ra"] == positions[0]["ra"]
    assert "arcsec/min" in found["pipeline_diagnostics"][0]
    assert found["period"] > 0


def test_marks_of_before_are_taken_by_their_old_name(fields: list[Field]) -> None:
    old: dict[str, Any] = {"target_track": marks(fields, 0, 3), "input_files": [{"basename": "a"}]}
    inputs = MovingTargetAperturePhotometry.inputs.model_validate(old).model_dump()
    assert [position["mjd"] for position in inputs["target_positions"]] == [
        position["mjd"] for position in old["target_track"]
    ]
    assert inputs["track_search_radius"] == 10.0


def test_a_target_without_a_source_is_measured_where_the_track_is(
    folder: Path, fields: list[Field], paths: list[Path]
) -> None:
    found = run(
        MovingTargetAperturePhotometry,
        folder,
        input_files=refs(paths),
        target_positions=marks(fields, 0, 7, off_arcsec=2.0),
        track_search_radius=0.5,
        **APERTURES,
    ).data[0]
    assert len(found["light_curve"]) == 8
    remarks = found["diagnostics"][paths[3].name]
    assert "No source was found near where the target is expected." in remarks


def test_one_mark_is_no_track() -> None:
    asked = {"target_positions": [{"mjd": 1.0, "ra": 1, "dec": 1}], "input_files": [{"basename": "a"}]}
    with pytest.raises(ValueError, match="at least 2"):
        MovingTargetAperturePhotometry.inputs.model_validate(asked)


def at(mjd: float | None, ra: float, dec: float = 0.0) -> TargetPosition:
    return TargetPosition(mjd=mjd, ra=ra, dec=dec)


def test_two_marks_make_a_line_and_three_a_curve() -> None:
    line = fit_track([at(10, 359.99), at(11, 0.01)])
    assert line.order == 1
    assert line.at(10.5)[0] == pytest.approx(0.0, abs=1e-9)
    assert line.rate_arcsec_per_min == pytest.approx(72 / 1440, rel=1e-3)
    curve = fit_track([at(0, 10, 0), at(1, 10.1, 0.1), at(2, 10.2, 0.4)])
    assert curve.order == 2
    np.testing.assert_allclose(curve.at(1), (10.1, 0.1), atol=1e-6)
    assert curve.covers(1.5)
    assert not curve.covers(2.5)


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        ([at(1, 10), at(1, 11)], "two different times"),
        ([at(None, 10), at(1, 11)], "needs its time"),
        ([at(1, 10)], "at least 2"),
        ([at(1, 10), at(2, 190)], "opposite"),
    ],
)
def test_marks_that_make_no_track_are_told(positions: list[TargetPosition], said: str) -> None:
    with pytest.raises(OperationError, match=said):
        fit_track(positions)


def followed(count: int, **cards: Any) -> list[Field]:
    """Expose where the asteroid is: it stays in the frame, the stars pass."""
    return [_followed(number, cards) for number in range(count)]


def _followed(number: int, cards: dict[str, Any]) -> Field:
    begun = TAKEN_AT + timedelta(minutes=30 * number)
    mjd = float(Time(begun).mjd) + 15 / 86400
    ra, dec = Moving(150.0, 2.2, START_MJD, 100.0, 40.0).at(mjd)
    place = {"CAT-RA": Angle(ra, "deg").to_string("hourangle", sep=":", precision=4), "CAT-DEC": dec}
    return star_field(
        size=192,
        stars=60,
        separation_px=22.0,
        seed=31,
        exposure=number,
        pixel_scale_arcsec=1.5,
        magnitudes=(12.5, 15.5),
        centre=(150.06, 2.23),
        pointing=(ra, dec),
        date_obs=begun,
        moving=Moving(ra, dec, mjd, 0.0, 0.0, magnitude=14.2),
        cards={**place, **cards},
    )


def alone(field: Field) -> bool:
    """Return whether no star's light falls into the target's aperture."""
    assert field.mover
    apart = np.hypot(field.truth["x"] - field.mover["x"], field.truth["y"] - field.mover["y"])
    return bool(apart.min() > 16.5)


def test_a_followed_target_is_measured_where_the_header_has_it(tmp_path: Path) -> None:
    fields = followed(8)
    paths = written(tmp_path, fields)
    found = run(NonSiderealAperturePhotometry, tmp_path, input_files=refs(paths), **APERTURES).data[0]
    rows = found["light_curve"]
    clear = [row["mag"] for row, field in zip(rows, fields, strict=True) if alone(field)]
    assert len(clear) >= 2
    assert clear == pytest.approx([14.2] * len(clear), abs=0.04)
    for row, field in zip(rows, fields, strict=True):
        remarks = " ".join(found["diagnostics"][row["basename"]])
        assert ("another star" in remarks) <= (not alone(field))
    stars = found["selected_comparison_stars"]
    assert len(stars) > 10, "the ensemble changes as the target passes the stars"
    assert all(row["comparison_stars"] >= 5 for row in rows)
    assert NOT_FOLLOWED not in found["pipeline_diagnostics"]


def test_a_header_without_the_target_excludes_its_image(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    good, bad = followed(3), followed(2, **{"CAT-RA": "N/A"})
    paths = [*written(tmp_path, good), *written(tmp_path, bad, stem="bad")]
    found = run(NonSiderealAperturePhotometry, tmp_path, input_files=refs(paths), **APERTURES).data[0]
    assert len(found["light_curve"]) == 3
    assert {name: "CAT-RA" in reason for name, reason in found["excluded_reasons"].items()} == {
        path.name: True for path in paths[3:]
    }


def test_images_that_followed_the_stars_are_remarked(
    folder: Path, paths: list[Path], fields: list[Field]
) -> None:
    assert len({field.header["CAT-RA"] for field in fields}) == 1
    found = run(NonSiderealAperturePhotometry, folder, input_files=refs(paths[:3]), **APERTURES).data[0]
    assert NOT_FOLLOWED in found["pipeline_diagnostics"]
