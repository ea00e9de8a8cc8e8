"""Questions about one file, over HTTP."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from datalab.analysis.actions import MODULES
from tests.datalab.api.calling import fits_bytes, upload
from tests.support.lab import RunningLab, running_lab
from tests.support.star_fields import star_field, write_banzai

NAME = "field.fits"
SHOWN = {"height": 256, "width": 256}
LINE = {**SHOWN, "x1": 10, "y1": 10, "x2": 200, "y2": 150}
STAR = {
    **SHOWN,
    "radius": 8,
    "r_back1": 12,
    "r_back2": 18,
    "find_centroid": True,
    "remove_background_stars": False,
    "use_plane_background": False,
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """Run datalab, with an archive that nobody answers for."""
    home = tmp_path_factory.mktemp("analysis")
    with running_lab(home, archive_url="http://127.0.0.1:9/") as running:
        yield running


@pytest.fixture(scope="module")
def looking(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> httpx.Client:
    """Return a client of a user who brought a star field."""
    client = lab.user("looking")
    path = write_banzai(tmp_path_factory.mktemp("field") / NAME, star_field(seed=5), compress=None)
    assert upload(client, NAME, path.read_bytes()).status_code == 201
    return client


def answered(client: httpx.Client, action: str, status: int = 200, **more: Any) -> Any:
    """Return what is answered to a question about the star field."""
    ask = {"basename": NAME, "source": "upload", **more}
    answer = client.post(f"/api/analysis/{action}/", json=ask)
    assert answer.status_code == status, answer.text
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    return answer.json()


@pytest.mark.long  # what it needs takes seconds to import
def test_line_profile(looking: httpx.Client) -> None:
    """Row: line-profile."""
    told = answered(looking, "line-profile", **LINE)

    assert told.keys() == {"line_profile", "arcsec", "start_coords", "end_coords", "position_angle"}
    assert told["arcsec"] > 0
    assert -360 <= told["position_angle"] <= 360
    assert len(told["line_profile"]) > 200


def test_source_catalog(looking: httpx.Client) -> None:
    """Row: source-catalog, with whole fluxes, and places as strings of six decimals."""
    told = answered(looking, "source-catalog", **SHOWN)

    assert 10 < len(told) <= 1000
    fields = {"x_win", "y_win", "x", "y", "flux", "mag", "magerr", "flux_fallback", "ra", "dec"}
    assert told[0].keys() == fields
    assert isinstance(told[0]["flux"], int)
    assert all(re.fullmatch(r"-?\d+\.\d{6}", one[name]) for one in told for name in ("ra", "dec"))


def test_wcs(looking: httpx.Client) -> None:
    """Row: wcs."""
    told = answered(looking, "wcs")

    assert told.keys() == {"crval", "crpix", "cd1", "cd2", "fits_dimensions"}
    assert told["fits_dimensions"] == [256, 256]
    assert [len(told[name]) for name in ("crval", "crpix", "cd1", "cd2")] == [2, 2, 2, 2]


def test_raw_data(looking: httpx.Client) -> None:
    """Row: raw-data, a side of 500 where nothing is said."""
    told = answered(looking, "raw-data", max_size=100)

    assert len(told["data"]) == told["height"] * told["width"] == 10_000
    assert told.keys() == {"data", "height", "width", "histogram", "bins", "zmin", "zmax", "bitdepth"}
    assert answered(looking, "raw-data")["height"] <= 500


def test_get_jpg(looking: httpx.Client) -> None:
    """Row: get-tif, get-jpg."""
    told = answered(looking, "get-jpg", zmin=100, zmax=1000)

    assert base64.b64decode(told["jpg_base64"]).startswith(b"\xff\xd8")


def test_get_tif_is_made_once(looking: httpx.Client) -> None:
    first, again = answered(looking, "get-tif"), answered(looking, "get-tif")

    assert first == again
    assert httpx.get(first["tif_url"]).content[:2] in (b"II", b"MM")


@pytest.mark.long  # what it needs takes seconds to import
def test_centroiding(looking: httpx.Client) -> None:
    """Row: centroiding."""
    star = answered(looking, "source-catalog", **SHOWN)[0]

    told = answered(looking, "centroiding", **STAR, x=star["x_win"], y=star["y_win"])

    assert told.keys() == {"x", "y", "ra", "dec", "background", "peak", "success", "message"}
    assert told["success"] is True
    assert abs(told["x"] - star["x_win"]) < 1


def test_an_unknown_action_is_told(looking: httpx.Client) -> None:
    assert answered(looking, "x", 400)["error"] == "Analysis action 'x' not found"


@pytest.mark.parametrize("action", MODULES)
def test_an_unknown_basename_is_told_within_a_second(looking: httpx.Client, action: str) -> None:
    began_s = time.monotonic()

    told = answered(looking, action, 400, basename="nowhere", **(LINE | STAR | {"x": 1, "y": 1}))

    assert told["error"].startswith(f"{action} Error: ")
    assert "nowhere" in told["error"]
    assert time.monotonic() - began_s < 5  # it takes milliseconds; the machine may be busy


def test_an_archive_that_is_away_is_told_soon(looking: httpx.Client) -> None:
    began_s = time.monotonic()

    answer = looking.post("/api/analysis/wcs/", json={"basename": "a-frame"})

    assert answer.status_code == 503
    assert time.monotonic() - began_s < 10


@pytest.mark.parametrize(
    ("action", "ask"),
    [
        ("line-profile", {}),
        ("line-profile", {**LINE, "x1": "much"}),
        ("line-profile", {**LINE, "x2": 10, "y2": 10}),
        ("raw-data", {"max_size": -1}),
        ("get-jpg", {"zmin": 5, "zmax": 5}),
        ("centroiding", {}),
    ],
)
def test_a_question_that_makes_no_sense_is_told(looking: httpx.Client, action: str, ask: Any) -> None:
    assert answered(looking, action, 400, **ask)["error"].startswith(f"{action} Error: ")


@pytest.mark.parametrize("ask", [{}, {"basename": ""}, {"basename": ["x"]}, {"basename": "x", "source": {}}])
def test_a_question_about_no_file_is_told_by_its_field(looking: httpx.Client, ask: Any) -> None:
    answer = looking.post("/api/analysis/wcs/", json=ask)

    assert answer.status_code == 400
    assert answer.json().keys() & {"basename", "source"}


def test_a_file_without_an_image_is_told(looking: httpx.Client) -> None:
    upload(looking, "broken.fits", fits_bytes()[:2900])

    assert "broken.fits" in answered(looking, "raw-data", 400, basename="broken.fits")["error"]


def test_somebody_elses_file_is_not_there(lab: RunningLab, looking: httpx.Client) -> None:
    answered(looking, "get-tif")

    told = answered(lab.user(), "get-tif", 400)

    assert "tif_url" not in told
