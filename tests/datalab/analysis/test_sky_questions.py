"""line-profile, source-catalog, wcs and centroiding, on a sky whose truth is known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from datalab.analysis import centroiding, line_profile, source_catalog, wcs
from datalab.operations.operation import OperationError
from tests.support.star_fields import Field, star_field, write_banzai

SHOWN: dict[str, Any] = {"basename": "a", "width": 120.0, "height": 96.0}


@pytest.fixture(scope="module")
def field() -> Field:
    return star_field(
        size=(192, 240), stars=24, separation_px=28.0, seed=8, magnitudes=(12.5, 15.0), rotation_deg=20.0
    )


@pytest.fixture(scope="module")
def path(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frame")
    return write_banzai(folder / "a.fits.fz", field, compress="gzip")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file without WCS and catalogue."""
    lost = star_field(
        size=(192, 240), stars=24, separation_px=28.0, seed=8, magnitudes=(12.5, 15.0), wcs=False
    )
    folder = tmp_path_factory.mktemp("bare")
    return write_banzai(folder / "a.fits", lost, compress=None, cat=False, bpm=False, err=False)


def ask(module: Any, path: Path, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = module.answer(path, module.ASK.model_validate({**SHOWN, **asked}))
    json.dumps(found, allow_nan=False)
    return found


def test_the_wcs_is_the_header_s(path: Path, field: Field) -> None:
    found = ask(wcs, path)
    header = field.header
    assert found["crval"] == [header["CRVAL1"], header["CRVAL2"]]
    assert found["crpix"] == [header["CRPIX1"], header["CRPIX2"]]
    assert found["cd1"] == pytest.approx([header["CD1_1"], header["CD1_2"]])
    assert found["cd2"] == pytest.approx([header["CD2_1"], header["CD2_2"]])
    assert found["fits_dimensions"] == [192, 240]


def test_no_wcs_is_an_error_that_says_so(bare: Path) -> None:
    with pytest.raises(OperationError, match="no WCS solution"):
        ask(wcs, bare)


def test_a_line_s_values_and_place_in_the_sky(path: Path, field: Field) -> None:
    found = ask(line_profile, path, x1=10.25, y1=20.25, x2=100.25, y2=60.25)
    start, end = (20.0, 40.0), (200.0, 120.0)
    many = len(found["line_profile"])
    places = np.linspace(start[1], end[1], many), np.linspace(start[0], end[0], many)
    wanted = map_coordinates(field.pixels.astype(float), places, order=1)
    assert many == int(np.ceil(np.hypot(180, 80))) + 1
    np.testing.assert_allclose(found["line_profile"], wanted, rtol=1e-6)
    sky = WCS(field.header)
    first, last = SkyCoord(sky.pixel_to_world(*start)), SkyCoord(sky.pixel_to_world(*end))
    assert found["arcsec"] == pytest.approx(first.separation(last).arcsec)
    assert found["start_coords"] == pytest.approx([first.ra.deg, first.dec.deg])
    assert found["end_coords"] == pytest.approx([last.ra.deg, last.dec.deg])
    assert found["position_angle"] == pytest.approx(first.position_angle(last).deg)


def test_a_line_without_wcs_has_its_length_by_the_size_of_a_pixel(bare: Path) -> None:
    found = ask(line_profile, bare, x1=10, y1=20, x2=60, y2=20)
    assert found["arcsec"] == pytest.approx(100 * 0.39)
    assert found["start_coords"] is found["end_coords"] is found["position_angle"] is None


def test_a_line_that_leaves_the_image_has_nothing_there(path: Path) -> None:
    values = ask(line_profile, path, x1=-20, y1=20.25, x2=20, y2=20.25)["line_profile"]
    assert values[:30] == [None] * 30
    assert all(value is not None for value in values[-30:])


@pytest.mark.parametrize(
    "line", [{"x1": 5, "y1": 5, "x2": 5, "y2": 5}, {"x1": 0, "y1": 0, "x2": 90_000, "y2": 0}]
)
def test_lines_that_are_none_are_refused(path: Path, line: dict[str, float]) -> None:
    with pytest.raises(OperationError, match="no length"):
        ask(line_profile, path, **line)


def test_values_that_are_no_numbers_are_null(tmp_path: Path) -> None:
    blind = star_field(size=64, stars=0, nan_fraction=1.0)
    written = write_banzai(tmp_path / "a.fits", blind, compress=None, cat=False)
    assert set(ask(line_profile, written, x1=10, y1=10, x2=50, y2=50)["line_profile"]) == {None}


def test_sources_are_where_they_are_displayed(path: Path, field: Field) -> None:
    sources = ask(source_catalog, path)["sources"]
    truth = field.truth[field.truth["inside"]]
    assert [source["flux"] for source in sources] == sorted((s["flux"] for s in sources), reverse=True)
    assert len(sources) >= 10
    for source in sources:
        x, y = source["x_win"] * 2 - 0.5, source["y_win"] * 2 - 0.5
        star = truth[np.argmin(np.hypot(truth["x"] - x, truth["y"] - y))]
        assert (x, y) == pytest.approx((star["x"], star["y"]), abs=0.2)
        assert source["mag"] == pytest.approx(star["mag"], abs=0.05)
        assert isinstance(source["flux"], int)
        assert source["flux_fallback"] is False
        assert len(source["ra"].split(".")[1]) == len(source["dec"].split(".")[1]) == 6
        assert float(source["ra"]) == pytest.approx(star["ra"], abs=1e-4)


def test_a_catalogue_is_bounded(tmp_path: Path) -> None:
    crowd = star_field(size=320, stars=1300, separation_px=2.0, magnitudes=(10.0, 11.0))
    written = write_banzai(tmp_path / "a.fits", crowd, compress=None, bpm=False, err=False)
    assert len(ask(source_catalog, written)["sources"]) == 1000


def test_without_catalogue_and_wcs_there_is_an_error(bare: Path) -> None:
    with pytest.raises(OperationError, match="no WCS solution"):
        ask(source_catalog, bare)


def star(field: Field) -> Any:
    inside = field.truth[field.truth["inside"]]
    away = (inside["x"] > 30) & (inside["x"] < 210) & (inside["y"] > 30) & (inside["y"] < 160)
    return inside[away][0]


def clicked(row: Any, off_px: float = 0.0) -> dict[str, float]:
    return {"x": (row["x"] + 0.5 + off_px) / 2, "y": (row["y"] + 0.5 - off_px) / 2}


@pytest.mark.parametrize("plane", [False, True])
def test_the_star_that_was_clicked_on_is_found(path: Path, field: Field, *, plane: bool) -> None:
    row = star(field)
    found = ask(centroiding, path, **clicked(row, 2.5), use_plane_background=plane)
    assert found["success"]
    assert found["message"] == ""
    assert found["x"] * 2 - 0.5 == pytest.approx(row["x"], abs=0.05)
    assert found["y"] * 2 - 0.5 == pytest.approx(row["y"], abs=0.05)
    assert found["ra"] == pytest.approx(row["ra"], abs=2e-5)
    assert found["dec"] == pytest.approx(row["dec"], abs=2e-5)
    assert found["background"] == pytest.approx(200, abs=5)
    assert found["peak"] == pytest.approx(field.pixels[round(row["y"]), round(row["x"])], rel=0.2)


def test_a_place_is_kept_when_no_centre_is_wanted(path: Path, field: Field) -> None:
    click = clicked(star(field), 2.5)
    found = ask(centroiding, path, **click, find_centroid=False)
    assert found["success"]
    assert (found["x"], found["y"]) == pytest.approx((click["x"], click["y"]))


def test_where_there_is_no_star_that_is_said(tmp_path: Path) -> None:
    empty = star_field(size=64, stars=0, photon_noise=False, noise=0.0)
    written = write_banzai(tmp_path / "a.fits", empty, compress=None, cat=False)
    found = ask(centroiding, written, x=60, y=48)
    assert not found["success"]
    assert "no star" in found["message"]
    assert (found["x"], found["y"]) == pytest.approx((60, 48))
    outside = ask(centroiding, written, x=500, y=48)
    assert not outside["success"]
    assert "outside" in outside["message"]


def test_a_star_without_wcs_has_a_centre_and_no_place_in_the_sky(bare: Path) -> None:
    found = ask(centroiding, bare, x=50, y=50, radius=20)
    assert found["ra"] is found["dec"] is None


@pytest.mark.parametrize(
    "asked",
    [
        {"width": 0},
        {"height": -5},
        {"x": "left"},
        {"x": float("nan")},
        {"radius": 0},
        {"radius": 1e9},
        {"r_back2": float("inf")},
    ],
)
def test_impossible_questions_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        centroiding.ASK.model_validate({**SHOWN, "x": 1, "y": 1, **asked})
