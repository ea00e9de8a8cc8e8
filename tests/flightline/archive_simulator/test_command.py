"""``flightline simulate archive``: frames of one's own, or of a night that is made up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from astropy.io import fits

from flightline.archive_simulator import ArchiveSimulator, serving_archive
from flightline.archive_simulator.folders import add_frames, facts_of, frames_of, make_night
from flightline.archive_simulator.night import PROPOSAL, Night
from flightline.archive_simulator.star_fields import EPOCH_MJD

COMMAND = Path(sys.executable).with_name("flightline")


@contextmanager
def simulated(*arguments: str) -> Iterator[dict[str, Any]]:
    """Run the command while the block runs; gives what it tells."""
    command = [str(COMMAND), "simulate", "archive", *arguments, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_frames_of_ones_own_are_served_as_they_are(tmp_path: Path) -> None:
    """Row: GET {archive}/frames/{id}/headers/, dashes become underscores."""
    image = fits.PrimaryHDU(np.zeros((8, 8), np.float32))
    image.header.update({"FILTER": "V", "OBJECT": "M 67", "DATE-OBS": "2026-01-02T03:04:05.6"})
    image.writeto(tmp_path / "mine.fits")

    with simulated(str(tmp_path)) as told:
        (frame,) = httpx.get(f"{told['url']}/frames/").json()["results"]
        content = httpx.get(frame["url"]).content
        headers = httpx.get(f"{told['url']}/frames/{frame['id']}/headers/").json()["data"]
        again = [str(COMMAND), "simulate", "archive", "--port", told["url"].rpartition(":")[2]]
        refused = subprocess.run(again, capture_output=True, text=True, check=False)

    assert (frame["basename"], frame["filename"]) == ("mine", "mine.fits")
    assert (frame["primary_optical_element"], frame["target_name"]) == ("V", "M 67")
    assert content == (tmp_path / "mine.fits").read_bytes()
    assert headers["DATE_OBS"] == "2026-01-02T03:04:05.6"
    assert told["night"] == {}
    assert "DATALAB_TAP_URL" not in told["environment"]
    assert (refused.returncode, "already in use" in refused.stderr) == (2, True)
    assert "Traceback" not in refused.stderr


def test_files_that_are_odd_are_served_or_named(tmp_path: Path) -> None:
    image = fits.PrimaryHDU(np.zeros((8, 8), np.float32))
    image.header["DATE-OBS"] = "yesterday"
    image.writeto(tmp_path / "odd.fits")
    archive = ArchiveSimulator()
    add_frames(archive, tmp_path)
    assert archive.frames["odd"].extra["observation_date"] == "1970-01-01T00:00:00Z"

    (tmp_path / "none.fits").write_bytes(b"%PDF")
    with pytest.raises(OSError, match=r"none\.fits cannot be read"):
        add_frames(archive, tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small night."""
    folder = tmp_path_factory.mktemp("night")
    make_night(folder, Night(256))
    return folder


async def test_the_archive_of_a_night_has_its_frames_and_gaias_stars(folder: Path) -> None:
    archive = ArchiveSimulator()
    add_frames(archive, folder)

    async with serving_archive(archive), httpx.AsyncClient() as client:
        frames = (await client.get(f"{archive.url}/frames/", params={"configuration_type": "BIAS"})).json()
        stars = await client.post(f"{archive.url}/tap/sync", data={"REQUEST": "doQuery", "LANG": "ADQL"})

    assert (len(archive.frames), frames["count"], stars.status_code) == (27, 3, 400)
    assert archive.tap
    assert len(archive.tap.stars) == len(Night(256).stars)
    assert [frame.proposal for frame in archive.frames.values()].count(PROPOSAL) == 1


def test_the_night_has_what_is_told_of_it(folder: Path) -> None:
    facts, night = facts_of(folder), Night(256)
    star = night.stars[night.variable.index]
    first, last = facts["asteroid"]

    assert (facts["variable"]["ra"], facts["variable"]["dec"]) == pytest.approx((star["ra"], star["dec"]))
    assert last["mjd"] - first["mjd"] == pytest.approx(11 * 12 / 1440, abs=1e-6)
    assert not list(folder.glob(".night-*"))
    for path in frames_of(folder)[:12]:
        with fits.open(path) as units:
            catalogue, header = units["CAT"].data, units["SCI"].header
        apart = np.hypot(catalogue["ra"] - star["ra"], catalogue["dec"] - star["dec"])
        middle = header["MJD-OBS"] + header["EXPTIME"] / 2 / 86_400
        expected = star["mag"] + 0.3 * np.sin(2 * np.pi * (middle - EPOCH_MJD) / facts["period_d"])
        assert catalogue["mag"][apart.argmin()] == pytest.approx(expected, abs=0.05)


def test_raw_frames_are_what_a_camera_gives(folder: Path) -> None:
    levels = {}
    for path in frames_of(folder)[17:]:
        with fits.open(path) as units:
            assert units["SCI"].data.dtype == np.uint16
            levels[path.name[-11:-8]] = float(np.median(units["SCI"].data))

    assert levels["b00"] == pytest.approx(1000, abs=10)
    assert levels["d00"] == pytest.approx(1150, abs=10)
    assert 15_000 < levels["f00"] < 21_500
    assert 1030 < levels["e00"] < 2000


def test_a_night_is_the_same_again(folder: Path, tmp_path: Path) -> None:
    night = Night(256)
    again = night.exposure(13, band="gp")
    with fits.open(frames_of(folder)[12]) as units:
        np.testing.assert_allclose(units["SCI"].data, again.pixels, atol=1)
    assert Night(256, seed=1).facts() != night.facts()
    assert frames_of(tmp_path / "nowhere") == []
