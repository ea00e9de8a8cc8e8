"""HR Diagram on two images of one cluster, with a Gaia archive of our own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datalab.operations.hr_diagram import HRDiagram
from datalab.operations.operation import OperationError
from datalab.photometry.gaia import stars_around
from tests.datalab.photometry.working import refs, run
from tests.support.gaia_tap import GaiaTap, gaia_stars, gaia_tap
from tests.support.star_fields import Field, star_field, write_series

SKY: dict[str, Any] = {"size": 160, "stars": 60, "seed": 5, "pixel_scale_arcsec": 2.0, "separation_px": 12.0}
CLUSTER = {"ra": 150.0, "dec": 2.2, "name": "M 0"}
HIDDEN = 30
"""Stars that Gaia knows, and the images don't show."""


@pytest.fixture(scope="module")
def fields() -> list[Field]:
    return [
        star_field(**SKY, magnitudes=(12.5, 15.5), band="gp"),
        star_field(**SKY, magnitudes=(12.5, 15.5), band="rp", exposure=1, shift=(2.0, 1.0)),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def paths(folder: Path, fields: list[Field]) -> list[Path]:
    return write_series(folder, fields, compress=None, bpm=False, err=False)


@pytest.fixture(scope="module")
def service(fields: list[Field]) -> Iterator[GaiaTap]:
    truth = fields[0].truth
    rng = np.random.default_rng(1)
    ra = np.concatenate([truth["ra"], 150 + rng.uniform(-0.04, 0.04, HIDDEN)])
    dec = np.concatenate([truth["dec"], 2.2 + rng.uniform(-0.04, 0.04, HIDDEN)])
    with gaia_tap(gaia_stars(ra, dec, members=40)) as tap:
        yield tap


@pytest.fixture
def tap(service: GaiaTap) -> Iterator[GaiaTap]:
    yield service
    service.fault = ""


def diagram(folder: Path, paths: list[Path], tap_url: str, **asked: Any) -> dict[str, Any]:
    blue, red = refs(paths)
    wanted = {"blue_filter_files": [blue], "red_filter_files": [red], "cluster": CLUSTER, **asked}
    found = run(HRDiagram, folder, {"tap_url": tap_url}, **wanted).data[0]
    json.dumps(found, allow_nan=False)
    return dict(found)


def test_colours_and_magnitudes_are_true(
    folder: Path, paths: list[Path], fields: list[Field], tap: GaiaTap
) -> None:
    found = diagram(folder, paths, tap.url)
    blue, red = (field.truth for field in fields)
    stars = [star for star in found["cmd"] if not star["gaia_only"]]
    assert len(stars) == found["n_stars"] == found["n_stars_matched"] > 40
    for star in stars:
        index = int(np.argmin(np.hypot(red["ra"] - star["ra"], red["dec"] - star["dec"])))
        assert star["mag"] == pytest.approx(red["mag"][index], abs=5 * star["magerr"] + 0.002)
        colour = blue["mag"][index] - red["mag"][index]
        assert star["color"] == pytest.approx(colour, abs=5 * star["color_err"] + 0.002)
    assert (found["blue_filter"], found["red_filter"], found["mag_band"]) == ("gp", "rp", "rp")
    assert found["cluster"] == {"name": "M 0", "ra": 150.0, "dec": 2.2, "radius_arcmin": 15.0}


def test_gaia_s_stars_are_matched_or_shown_beside(folder: Path, paths: list[Path], tap: GaiaTap) -> None:
    found = diagram(folder, paths, tap.url)
    matched = [star for star in found["cmd"] if star["gaia_match"] and not star["gaia_only"]]
    beside = [star for star in found["cmd"] if star["gaia_only"]]
    assert len(matched) == found["n_gaia_matched"] > 40
    assert len(beside) == found["n_gaia_only"]
    assert len(matched) + len(beside) == len(tap.stars) - 1, "one has a bad solution (RUWE)"
    assert all(star["parallax"] is not None and star["distance"] is not None for star in matched)
    assert any(star["color"] is None for star in beside), "some have no synthetic magnitudes"
    assert any(star["color"] is not None for star in beside)


def test_the_cluster_s_motion_and_distance_are_guessed(folder: Path, paths: list[Path], tap: GaiaTap) -> None:
    guess = diagram(folder, paths, tap.url)["membership_guess"]
    assert guess["pmra"] == pytest.approx(-12.0, abs=0.2)
    assert guess["pmdec"] == pytest.approx(7.0, abs=0.2)
    assert guess["parallax_min"] < 2.0 < guess["parallax_max"]
    assert guess["distance_min"] < 500 < guess["distance_max"]


def test_a_field_without_cluster_has_no_guess(folder: Path, paths: list[Path], fields: list[Field]) -> None:
    truth = fields[0].truth[:9]
    with gaia_tap(gaia_stars(truth["ra"], truth["dec"])) as few:
        assert diagram(folder, paths, few.url)["membership_guess"] is None


def test_a_small_circle_asks_and_shows_less(folder: Path, paths: list[Path], tap: GaiaTap) -> None:
    found = diagram(folder, paths, tap.url, search_radius_arcmin=1.0)
    whole = diagram(folder, paths, tap.url)
    assert 0 < found["n_stars"] < whole["n_stars"]
    assert "CIRCLE('ICRS', 150.00000000, 2.20000000, 0.01666667)" in tap.queries[-2]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("refuse", "Cannot parse query <here>"),
        ("fail", "answers 503"),
        ("garbage", "no VOTable"),
        ("endless", "too large"),
        ("hang up", "cannot be reached"),
    ],
)
def test_an_archive_in_trouble_is_told(
    folder: Path, paths: list[Path], tap: GaiaTap, fault: str, said: str
) -> None:
    tap.fault = fault
    with pytest.raises(OperationError, match=f"Gaia's archive cannot be asked.*{said}"):
        diagram(folder, paths, tap.url)


def test_an_archive_that_is_not_there_or_slow_is_told(folder: Path, paths: list[Path], tap: GaiaTap) -> None:
    with pytest.raises(OperationError, match="cannot be reached"):
        diagram(folder, paths, "http://127.0.0.1:9/tap")
    with pytest.raises(OperationError, match="http or https"):
        diagram(folder, paths, "file:///etc/passwd")
    tap.fault = "slow"
    with pytest.raises(OperationError, match="takes too long"):
        stars_around(tap.url, 150.0, 2.2, 0.1, ("gp", "rp"), time_limit_s=0.3)


def test_where_gaia_has_no_stars_the_images_have(
    folder: Path, paths: list[Path], fields: list[Field]
) -> None:
    with gaia_tap(gaia_stars(fields[0].truth["ra"] + 1, fields[0].truth["dec"])) as away:
        found = diagram(folder, paths, away.url)
    assert found["n_gaia_matched"] == found["n_gaia_only"] == 0
    assert found["n_stars"] > 40
    assert found["membership_guess"] is None


def test_images_that_make_no_diagram_are_told(
    folder: Path, paths: list[Path], fields: list[Field], tap: GaiaTap, tmp_path: Path
) -> None:
    blue, red = paths
    with pytest.raises(OperationError, match=r"frame-0001.* is through rp, not gp"):
        diagram(folder, [red, blue], tap.url)
    with pytest.raises(OperationError, match="in neither image"):
        diagram(folder, paths, tap.url, cluster={"ra": 10.0, "dec": 2.2})
    with pytest.raises(OperationError, match=r"No star within 0\.001'"):
        diagram(folder, paths, tap.url, search_radius_arcmin=0.001)
    assert fields[0].header["FILTER"] == "gp"
    other = star_field(**{**SKY, "seed": 99}, magnitudes=(12.5, 15.5), centre=(150.0, 2.2003))
    elsewhere = write_series(tmp_path, [other], stem="other", compress=None)
    (tmp_path / blue.name).symlink_to(blue)
    with pytest.raises(OperationError, match=r"no star in common|No star within"):
        diagram(tmp_path, [blue, elsewhere[0]], tap.url, search_radius_arcmin=0.3)
    bare = write_series(
        tmp_path, [star_field(**SKY, band="gp", cards={"L1ZP": None})], stem="bare", compress=None
    )
    (tmp_path / red.name).symlink_to(red)
    with pytest.raises(OperationError, match="no calibrated magnitudes"):
        diagram(tmp_path, [bare[0], red], tap.url)
