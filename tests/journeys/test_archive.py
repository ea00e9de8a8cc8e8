"""From a simulated science archive to a star's period and pictures, as a new user goes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.journeys.test_tapis import terminal, until_it_listens
from tests.support.columns import Column
from tests.support.debian import ensure_installed
from tests.support.processes import free_port

README = Path(__file__).resolve().parents[2] / "README.md"
CHAPTER = "## Work on FITS images in five minutes"
USUAL = (8910, 8006)
WITHIN_S = 90.0
PERIOD_D = 0.09
JPEG, TIFF, FITS = b"\xff\xd8", b"II*\0", b"SIMPLE  ="


def chapter() -> list[str]:
    """Return the commands of the README's chapter, in blocks."""
    text = README.read_text(encoding="utf-8").partition(CHAPTER)[2].partition("\n## ")[0]
    return re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_five_minutes_of_the_readme_end_in_a_period_and_a_picture(tmp_path: Path) -> None:
    ensure_installed("curl", "curl")
    ports = {usual: free_port() for usual in USUAL}
    archive, datalab = (ports[usual] for usual in USUAL)

    def instead(text: str) -> str:
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: str(ports[int(port.group())]), text)

    simulate, services, session, ask, wait = map(instead, chapter())
    with terminal(tmp_path, {}) as first, terminal(tmp_path, {"DATALAB_PORT": str(datalab)}) as second:
        first.type(f"{simulate.strip()} --port {archive} > archive.log 2>&1 &")
        until_it_listens(f"http://127.0.0.1:{archive}/frames/")
        second.type(services)
        second.type(session)
        second.type(ask)
        said = second.type(wait)
        star, picture = _documents(said)
        shown = requests.get(picture["output"]["output_files"][0]["large_url"], timeout=WITHIN_S).content
        second.type("kill %1; wait %1")

    assert (star["name"], star["status"]) == ("Variable Star", "COMPLETED")
    assert star["output"]["output_data"][0]["period"] == pytest.approx(PERIOD_D, rel=0.02)
    assert (picture["name"], picture["status"]) == ("Color Image", "COMPLETED")
    assert shown.startswith(JPEG)


def _documents(said: str) -> list[dict[str, Any]]:
    """Return the JSON documents that stand one behind the other in a text."""
    decoder, found, start = json.JSONDecoder(), [], said.find("{")
    while start >= 0:
        document, end = decoder.raw_decode(said, start)
        found.append(document)
        start = said.find("{", end)
    return found


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Run a simulated archive with small frames, and datalab, whose user is the portal's."""
    home = tmp_path_factory.mktemp("night") / "home"
    home.mkdir()
    column = Column(home, own={"DATALAB_PORT": str(free_port()), "FLIGHTLINE_LOG_LEVEL": "error"})
    size = ("--port", "0", "--size", "512", "--json")
    with column.running("simulate", "archive", str(home.parent / "frames"), *size) as simulator:
        assert simulator.stdout
        facts = json.loads(simulator.stdout.readline())
        with column.running("up", "--only", "datalab", **facts["environment"]):
            url = f"http://127.0.0.1:{column.own['DATALAB_PORT']}"
            until_it_listens(f"{url}/healthz")
            yield Night(url, facts)


class Night:
    """The night's frames, and a session of the portal's user for them."""

    def __init__(self, url: str, facts: dict[str, Any]) -> None:
        self.facts, self.truth = facts, facts["night"]
        login = {"username": facts["user"], "password": facts["password"]}
        told = requests.post(
            f"{facts['environment']['DATALAB_PORTAL_URL']}api-token-auth/", data=login, timeout=WITHIN_S
        )
        self.http = requests.Session()
        self.http.headers["Authorization"] = f"Token {told.json()['token']}"
        made = self.http.post(f"{url}/api/datasessions/", json={"name": "A night"}, timeout=WITHIN_S)
        self.api, self.operations = f"{url}/api", f"{url}/api/datasessions/{made.json()['id']}/operations/"

    def frames(self, *numbers: int) -> list[dict[str, Any]]:
        """Return frames as operations take them."""
        by_number = {int(name.split("-")[3]): name for name in self.facts["frames"]}
        return [{"source": "archive", "basename": by_number[number]} for number in numbers]

    def computed(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Have an operation computed, and return it when it has ended."""
        body: Any = {"name": name, "input_data": inputs}
        answer = self.http.post(self.operations, json=body, timeout=WITHIN_S)
        assert answer.status_code == 201, answer.text
        ends_at_s, shown = time.monotonic() + WITHIN_S, answer.json()
        while shown["status"] in ("PENDING", "IN_PROGRESS"):
            assert time.monotonic() < ends_at_s, shown
            path = f"{self.operations}{shown['id']}/wait/?timeout=30"
            shown = self.http.get(path, timeout=WITHIN_S).json()
        assert shown["status"] == "COMPLETED", shown["message"]
        return dict(shown)


FILES = {"basename", "source", "type", "large_url", "small_url"}
OUTPUTS: dict[str, tuple[int, set[str]]] = {
    "Median": (1, {*FILES, "fits_url"}),
    "Stacking": (1, {*FILES, "fits_url"}),
    "Sigma-Clipped Stack": (1, {*FILES, "fits_url"}),
    "Normalization": (2, {*FILES, "fits_url"}),
    "Subtraction": (2, {*FILES, "fits_url"}),
    "Calibrate": (1, {*FILES, "fits_url"}),
    "Align": (2, {*FILES, "fits_url"}),
    "Mosaic": (1, {*FILES, "fits_url"}),
    "Color Image": (1, {*FILES, "tif_url"}),
}
DATA: dict[str, set[str]] = {
    "Region Statistics": {"region_statistics"},
    "Light Curve": {"light_curve", "excluded_images"},
    "Variable Star": {"light_curve", "excluded_images", "period", "fap", "frequency", "power"},
    "Aperture Photometry": {"light_curve", "excluded_images", "diagnostics", "period", "diagnostic_images"},
    "Non-Sidereal Aperture Photometry": {"light_curve", "excluded_images", "diagnostics"},
    "Moving Target Aperture Photometry": {"light_curve", "excluded_images", "diagnostics", "target_track"},
    "HR Diagram": {"cmd", "n_stars", "n_gaia_matched"},
}
"""What operations answer with; those of the first table have files, so many of them."""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_operation_can_be_tried_on_the_simulated_night(night: Night) -> None:
    """Row: outputs of the eleven operations, and of those beside them."""
    series = night.frames(*range(1, 13))
    files = {"input_files": series}
    colours = [{"r": 255, "g": 0, "b": 0}, {"r": 0, "g": 255, "b": 0}, {"r": 0, "g": 0, "b": 255}]
    channels = [
        {**frame, "color": colour} for frame, colour in zip(night.frames(14, 1, 13), colours, strict=True)
    ]
    calibration = {
        "bias_files": night.frames(18, 19, 20),
        "dark_files": night.frames(21, 22, 23),
        "flat_files": night.frames(24, 25, 26),
    }
    star, cluster = night.truth["variable"], night.truth["cluster"]
    asked: dict[str, dict[str, Any]] = {
        "Median": files,
        "Stacking": {**files, "stacking_mode": "reproject"},
        "Sigma-Clipped Stack": files,
        "Normalization": {"input_files": series[:2]},
        "Subtraction": {"input_files": series[:2], "subtraction_file": night.frames(16)},
        "Calibrate": {"input_files": night.frames(27), **calibration},
        "Align": {"input_files": series[:2]},
        "Mosaic": {"input_files": night.frames(1, 16)},
        "Color Image": {"color_channels": channels},
        "Region Statistics": {"input_files": series[:2], "regions": "circle(100, 100, 20)"},
        "Light Curve": {"source": star, **files},
        "Variable Star": {"source": star, **files},
        "Aperture Photometry": {"target_positions": [star], **files},
        "Non-Sidereal Aperture Photometry": files,
        "Moving Target Aperture Photometry": {"target_positions": night.truth["asteroid"], **files},
        "HR Diagram": {
            "blue_filter_files": night.frames(13),
            "red_filter_files": night.frames(1),
            "cluster": cluster,
        },
    }
    known = night.http.get(f"{night.api}/available_operations/", timeout=WITHIN_S).json()
    assert asked.keys() == known.keys()

    ended = {name: night.computed(name, inputs) for name, inputs in asked.items()}

    assert OUTPUTS.keys() | DATA.keys() == ended.keys()
    for name, fields in DATA.items():
        (data,) = ended[name]["output"]["output_data"]
        assert data.keys() >= fields, name
    for name, (count, fields) in OUTPUTS.items():
        outputs = ended[name]["output"]["output_files"]
        assert len(outputs) == count, name
        for file in outputs:
            assert file.keys() >= fields, name
            assert file["source"] == "datalab"
            assert file["type"] == ("fits" if "fits_url" in fields else "image")
            assert ("fits_url" in file) != ("tif_url" in file)
            for key, magic in (
                ("fits_url", FITS),
                ("large_url", JPEG),
                ("small_url", JPEG),
                ("tif_url", TIFF),
            ):
                if key in file:
                    content = requests.get(file[key], timeout=WITHIN_S).content
                    assert content.startswith(magic), (name, key)
    (curve,) = ended["Variable Star"]["output"]["output_data"]
    assert curve["period"] == pytest.approx(PERIOD_D, rel=0.02)
    for name in ("Light Curve", "Aperture Photometry", "Moving Target Aperture Photometry"):
        (curve,) = ended[name]["output"]["output_data"]
        assert len(curve["light_curve"]) == len(series), name


@pytest.mark.long
def test_the_frame_of_a_proposal_is_its_members_alone(night: Night) -> None:
    url = f"{night.facts['url']}/frames/"
    everybody = requests.get(url, timeout=WITHIN_S).json()["count"]
    members = night.http.get(url, timeout=WITHIN_S).json()["count"]

    statistics = night.computed("Region Statistics", {"input_files": night.frames(17)})

    assert (everybody, members) == (26, 27)
    assert statistics["output"]["output_data"]
