from __future__ import annotations

import io
import json
import os
import shutil
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from pyproj import Transformer
from rio_cogeo.cogeo import cog_validate

from flightline.simulation.accuracy import compare_cameras
from flightline.simulation.truth import load_truth
from odm_gateway.orthophoto.console import Console
from odm_gateway.orthophoto.engine import Outcome, publish, run
from odm_gateway.orthophoto.models import CanceledError, EngineError
from odm_gateway.orthophoto.options import EngineOptions
from odm_gateway.orthophoto.space import full_disk_refused
from tests.support.scene import Scene, photographed

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = EngineOptions(max_concurrency=2, orthophoto_resolution_cm=16.0, dsm=True)
ALL_ASSETS = {
    "all.zip", "cameras.json", "images.json", "log.json", "task_output.txt",
    "odm_dem/dsm.tif", "odm_orthophoto/odm_orthophoto.tif", "odm_orthophoto/odm_orthophoto.png",
    "odm_report/report.pdf", "odm_report/shots.geojson", "odm_report/stats.json",
}  # fmt: skip


class Usage(NamedTuple):
    """What `shutil.disk_usage` says, as far as it matters."""

    free: int


def silent(stage: str, percent: float, message: str | None = None) -> None:
    """Hear everything and say nothing."""


def cancel_from(wanted: str) -> Callable[..., None]:
    def progress(stage: str, _percent: float, _message: str | None = None) -> None:
        if stage == wanted:
            raise CanceledError

    return progress


@pytest.fixture(scope="module")
def project(small_flight: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """Return a finished project of the small flight."""
    folder = tmp_path_factory.mktemp("project")
    return folder, run(small_flight, folder, OPTIONS, silent, ignored=["pc-quality"])


def test_given_a_flight_when_run_then_every_product_is_there(project: tuple[Path, Outcome]) -> None:
    folder, outcome = project

    assert set(outcome.assets) == ALL_ASSETS
    assert all((folder / asset).stat().st_size > 0 for asset in ALL_ASSETS)
    with zipfile.ZipFile(folder / "all.zip") as bundle:
        assert set(bundle.namelist()) == ALL_ASSETS - {"all.zip"}


def test_given_a_flight_when_run_then_all_photos_are_placed_truly(
    project: tuple[Path, Outcome], small_flight: Path
) -> None:
    folder, _ = project

    found = compare_cameras(load_truth(small_flight), folder / "odm_report/shots.geojson")

    assert (found.registered, found.missing) == (6, ())
    assert max(found.std_m) < 0.5


def test_given_a_flight_when_run_then_its_rasters_are_valid(project: tuple[Path, Outcome]) -> None:
    folder, _ = project

    for name in ("odm_orthophoto/odm_orthophoto.tif", "odm_dem/dsm.tif"):
        assert cog_validate(folder / name, strict=True, quiet=True)[0]


def test_given_a_finished_run_then_its_log_says_so(project: tuple[Path, Outcome]) -> None:
    log = json.loads((project[0] / "log.json").read_text())

    assert (log["success"], log["error"]) == (True, None)
    assert [stage["name"] for stage in log["stages"]][-2:] == ["ortho", "publish"]
    assert log["options"]["orthophoto_resolution_cm"] == 16.0


def test_given_an_option_of_odms_that_is_ignored_then_the_console_says_so(
    project: tuple[Path, Outcome],
) -> None:
    console = (project[0] / "task_output.txt").read_text().splitlines()

    assert sum("pc-quality is not done by this engine" in line for line in console) == 1
    assert "finished with 6 of 6 photos" in console[-1]


def test_given_a_finished_project_when_run_again_then_nothing_is_computed_twice(
    project: tuple[Path, Outcome], small_flight: Path
) -> None:
    folder, before = project
    kept = {path: path.stat().st_mtime_ns for path in (folder / "work").rglob("*.npz")}

    after = run(small_flight, folder, OPTIONS, silent)

    assert kept
    assert {path: path.stat().st_mtime_ns for path in (folder / "work").rglob("*.npz")} == kept
    assert after.summary["photos_used"] == before.summary["photos_used"]


def test_given_options_that_leave_products_out_then_they_are_not_listed(tmp_path: Path) -> None:
    block, surface = photographed(Scene(), tmp_path / "photos")
    console = Console(io.StringIO(), silent)
    (tmp_path / "task_output.txt").touch()

    outcome = publish(block, surface, tmp_path, replace(OPTIONS, dsm=False, skip_report=True), console)

    assert ALL_ASSETS - set(outcome.assets) == {"odm_dem/dsm.tif", "odm_report/report.pdf"}


def test_given_a_full_disk_when_run_then_both_numbers_are_named(
    tmp_path: Path, small_flight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=1_234_567))

    with pytest.raises(EngineError, match="1,234,567 bytes are free") as caught:
        run(small_flight, tmp_path, OPTIONS, silent)

    assert caught.value.code == "NO_SPACE"
    assert not (tmp_path / "all.zip").exists()


def test_given_a_disk_that_fills_up_when_written_to_then_the_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="filled up") as caught, full_disk_refused(tmp_path):
        Path("/dev/full").write_text("one byte more")

    assert caught.value.code == "NO_SPACE"


def test_given_no_folder_when_run_then_the_refusal_names_it(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="nowhere") as caught:
        run(tmp_path / "nowhere", tmp_path / "project", OPTIONS, silent)

    log = json.loads((tmp_path / "project/log.json").read_text())
    assert caught.value.code == "TOO_FEW_IMAGES"
    assert (log["success"], log["error"][:14]) == (False, "TOO_FEW_IMAGES")


def test_given_a_finished_project_when_the_next_run_is_canceled_then_it_looks_unfinished(
    project: tuple[Path, Outcome], small_flight: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project[0], folder)

    with pytest.raises(CanceledError):
        run(small_flight, folder, OPTIONS, cancel_from("publish"))

    assert not (folder / "all.zip").exists()
    assert json.loads((folder / "log.json").read_text())["error"] == "canceled"


def test_given_leftovers_of_a_killed_run_when_run_again_then_they_are_swept(
    tmp_path: Path, small_flight: Path
) -> None:
    for name in (".odm_orthophoto.tif.partial", ".draft.odm_orthophoto.tif.partial.ovr"):
        (tmp_path / "odm_orthophoto").mkdir(exist_ok=True)
        (tmp_path / "odm_orthophoto" / name).write_bytes(b"half")

    with pytest.raises(CanceledError):
        run(small_flight, tmp_path, OPTIONS, cancel_from("scan"))

    assert list((tmp_path / "odm_orthophoto").iterdir()) == []


@pytest.mark.long
def test_given_the_brighton_flight_when_run_then_it_agrees_with_odm(tmp_path: Path) -> None:
    began = time.monotonic()
    outcome = run(_real_data() / "brighton-small", tmp_path, EngineOptions(), silent)
    shots = _shots(tmp_path / "odm_report/shots.geojson")
    of_odm = _shots(_real_data() / "brighton-ref/odm_shots.geojson")

    apart = np.array([shots[name] - of_odm[name] for name in of_odm])

    assert outcome.summary["photos_used"] == 18
    assert np.sqrt((apart[:, :2] ** 2).mean(axis=0)).max() < 0.25
    assert time.monotonic() - began < 60


def _real_data() -> Path:
    beside = Path(__file__).parents[3].parent / "shared" / "data"
    data = Path(os.environ.get("FLIGHTLINE_TEST_DATA", beside))
    if not (data / "brighton-small").is_dir():
        pytest.skip("no real flights: FLIGHTLINE_TEST_DATA names no folder with brighton-small")
    return data


def _shots(path: Path) -> dict[str, Any]:
    to_grid = Transformer.from_crs(4326, 32615, always_xy=True)
    features = json.loads(path.read_text())["features"]
    return {
        feature["properties"]["filename"]: np.array(to_grid.transform(*feature["geometry"]["coordinates"]))
        for feature in features
    }
