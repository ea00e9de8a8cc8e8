"""The stages together: a simulated flight with known truth, and real photos where they are given."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

from flightline.simulation.accuracy import compare_block
from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from flightline.simulation.truth import Truth
from odm_gateway.orthophoto.models import Block, CanceledError, EngineError, Floats, Pose, Progress, Surface
from odm_gateway.orthophoto.options import EngineOptions
from odm_gateway.orthophoto.reconstruct import reconstruct

from .known_flight import jpeg_bytes

OPTIONS = EngineOptions(max_concurrency=2)
PIXEL_M = 0.072


def silent(stage: str, percent: float, message: str | None = None) -> None:
    """Hear nothing."""


def cancels(when: Callable[[str, float], bool]) -> Progress:
    """Return a listener that cancels as soon as ``when(stage, percent)``."""

    def listen(stage: str, percent: float, message: str | None = None) -> None:  # noqa: ARG001 - as called
        if when(stage, percent):
            raise CanceledError

    return listen


def real_data() -> Path:
    root = Path(__file__).parents[3]
    return Path(os.environ.get("FLIGHTLINE_TEST_DATA", root.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return simulate_flight(tmp_path_factory.mktemp("flight"), FlightPlan(photos=12, megapixels=1.0))


@pytest.fixture(scope="module")
def result(truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> tuple[Block, Surface]:
    return reconstruct(truth.directory.parent, tmp_path_factory.mktemp("work"), OPTIONS, silent)


def test_given_a_flight_when_reconstructed_then_the_ground_is_right_within_a_pixel(
    truth: Truth, result: tuple[Block, Surface]
) -> None:
    ground = compare_block(truth, result[0])

    assert len(result[0].photos) == 12
    assert ground.relative_median_m <= PIXEL_M
    assert ground.rmse_m <= np.linalg.norm(truth.gps_bias_m[:2]) + 0.6


def test_given_unadjusted_poses_when_compared_then_the_same_bound_fails(
    truth: Truth, result: tuple[Block, Surface]
) -> None:
    block = result[0]
    levelled = []
    for pose in block.poses:
        right = np.array([*pose.rotation[0, :2], 0.0])
        right /= np.linalg.norm(right)
        down = np.array([0.0, 0.0, -1.0])
        levelled.append(Pose(np.array([right, np.cross(down, right), down]), pose.position))

    assert compare_block(truth, replace(block, poses=tuple(levelled))).relative_median_m > 2 * PIXEL_M


def test_given_a_flight_when_reconstructed_then_cameras_and_lens_are_right(
    truth: Truth, result: tuple[Block, Surface]
) -> None:
    block, true = result[0], {photo.name: photo.pose.position + truth.origin for photo in truth.photos}
    off = np.array([
        pose.position + block.origin - true[photo.name]
        for photo, pose in zip(block.photos, block.poses, strict=True)
    ])  # fmt: skip

    assert off.std(axis=0).max() <= 0.15
    assert block.lens.focal == pytest.approx(truth.camera.lens.focal, rel=0.01)
    assert block.lens.k1 == pytest.approx(truth.camera.lens.k1, abs=0.01)


def ground_inside(truth: Truth) -> Floats:
    """Return (n, 3) true points of bare ground within 25 m of the middle."""
    true = truth.surface()
    row, column = np.nonzero(true.ground)
    east = true.grid.west_m + (column + 0.5) * true.grid.cell_m
    north = true.grid.north_m - (row + 0.5) * true.grid.cell_m
    inside = np.hypot(east - east.mean(), north - north.mean()) < 25
    return np.asarray(np.column_stack([east, north, true.heights[row, column]])[inside])


def test_given_a_flight_when_reconstructed_then_the_surface_follows_the_ground(
    truth: Truth, result: tuple[Block, Surface]
) -> None:
    block, surface = result
    places = ground_inside(truth) + truth.origin - block.origin
    row = ((surface.north_m - places[:, 1]) / surface.cell_m).astype(int)
    column = ((places[:, 0] - surface.west_m) / surface.cell_m).astype(int)
    error = surface.heights[row, column] - places[:, 2]

    assert 1.4826 * np.median(np.abs(error - np.median(error))) <= 0.4
    assert abs(np.median(error)) <= 1.5


def test_given_a_flight_when_reconstructed_then_the_block_is_complete(result: tuple[Block, Surface]) -> None:
    block = result[0]

    assert len(block.poses) == len(block.sharpness) == len(block.gains) == len(block.features_per_photo) == 12
    assert len(block.points) == len(block.point_colors) > 1000
    assert block.warnings == ()
    assert 0 < block.reprojection_rms_px < 1


def test_given_a_run_when_it_reports_then_percent_only_rises(small_flight: Path, tmp_path: Path) -> None:
    heard: list[tuple[str, float]] = []

    def listen(stage: str, percent: float, message: str | None = None) -> None:  # noqa: ARG001 - as called
        heard.append((stage, percent))

    reconstruct(small_flight, tmp_path, OPTIONS, listen)

    percents = [percent for _, percent in heard]
    stages = list(dict.fromkeys(stage for stage, _ in heard))
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 84)
    assert stages == ["scan", "features", "matching", "placement", "adjustment", "surface"]


def test_given_a_cancel_when_it_is_asked_then_the_run_stops_at_any_stage(
    small_flight: Path, tmp_path: Path
) -> None:
    stopped_at: list[str] = []

    def is_new(stage: str, _percent: float) -> bool:
        if stage in stopped_at:
            return False
        stopped_at.append(stage)
        return True

    for _ in range(6):
        with pytest.raises(CanceledError):
            reconstruct(small_flight, tmp_path, OPTIONS, cancels(is_new))

    assert stopped_at == ["scan", "features", "matching", "placement", "adjustment", "surface"]


def test_given_a_canceled_run_when_started_again_then_it_goes_on(small_flight: Path, tmp_path: Path) -> None:
    with pytest.raises(CanceledError):
        reconstruct(small_flight, tmp_path, OPTIONS, cancels(lambda _, percent: percent > 50))
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*.npz")}

    block, _ = reconstruct(small_flight, tmp_path, OPTIONS, silent)

    assert len(done) > 6
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    assert len(block.photos) == 6


def test_given_a_spoilt_photo_when_reconstructed_then_it_is_named_and_the_rest_mapped(
    small_flight: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(small_flight, photos, ignore=shutil.ignore_patterns("truth"))
    first = min(photos.iterdir())
    first.write_bytes(first.read_bytes()[:5000])

    block, _ = reconstruct(photos, tmp_path / "work", OPTIONS, silent)

    assert len(block.photos) == 5
    assert [(one.name, one.code) for one in block.left_out] == [(first.name, "truncated")]


@pytest.mark.parametrize(("kind", "code"), [("flat", "NO_TEXTURE"), ("noise", "NO_OVERLAP")])
def test_given_photos_of_nothing_when_reconstructed_then_the_refusal_says_why(
    small_flight: Path, tmp_path: Path, kind: str, code: str
) -> None:
    rng = np.random.default_rng(0)
    for path in small_flight.glob("*.JPG"):
        spoil(path, tmp_path / path.name, 0 if kind == "flat" else 255, rng)

    with pytest.raises(EngineError) as refusal:
        reconstruct(tmp_path, tmp_path / "work", OPTIONS, silent)

    assert refusal.value.code == code


def spoil(source: Path, target: Path, contrast: int, rng: np.random.Generator) -> None:
    """Write a picture of random pixels with the metadata of ``source``."""
    pixels = (rng.random((300, 400)) * contrast).astype(np.uint8)
    data = source.read_bytes()
    at = 2
    while data[at + 1] == 0xE1:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    target.write_bytes(data[:at] + jpeg_bytes(pixels)[2:])


def test_given_real_photos_when_reconstructed_then_odm_agrees(tmp_path: Path) -> None:
    folder = real_data()
    if not (folder / "brighton-small").is_dir():
        pytest.skip("the Brighton photos are not given")

    block, _ = reconstruct(folder / "brighton-small", tmp_path, OPTIONS, silent)

    shots = json.loads((folder / "brighton-ref" / "odm_shots.geojson").read_text())["features"]
    places = {shot["properties"]["filename"]: shot["geometry"]["coordinates"] for shot in shots}
    to_utm = Transformer.from_crs(4326, block.epsg, always_xy=True)
    truth = np.array([to_utm.transform(*places[photo.name][:2]) for photo in block.photos])
    off = np.array([pose.position[:2] + block.origin[:2] for pose in block.poses]) - truth
    assert len(block.photos) == 18
    assert np.sqrt(np.mean(off**2, axis=0)).max() <= 0.25


@pytest.mark.long
def test_given_a_fixed_wing_flight_when_reconstructed_then_nearly_all_photos_are_placed(
    tmp_path: Path,
) -> None:
    folder = real_data() / "seneca-small"
    if not folder.is_dir():
        pytest.skip("the Seneca photos are not given")

    block, _ = reconstruct(folder, tmp_path, OPTIONS, silent)

    assert len(block.photos) >= 165
    assert block.reprojection_rms_px < 2
