from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from flightline.simulation.accuracy import seen_by
from flightline.simulation.camera import Relief, first_hits
from flightline.simulation.canvas import Scene
from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from flightline.simulation.site import Site
from flightline.simulation.truth import Truth, load_truth

from .conftest import PLAN

if TYPE_CHECKING:
    from pathlib import Path

    from odm_gateway.orthophoto.models import Floats

SMALL = FlightPlan(photos=2, megapixels=0.03)


def bytes_in(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def colors_at(flight_dir: Path, truth: Truth, number: int, points: Floats) -> Floats:
    """Return the grey levels of ground points in a photo."""
    photo = truth.photos[number]
    grey = cv2.imread(str(flight_dir / photo.name), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    centers = (truth.camera.project(photo.pose, points) - 0.5).astype(np.float32)
    seen = cv2.remap(grey, centers[:, :1], centers[:, 1:], cv2.INTER_LINEAR)
    return np.asarray(seen[:, 0], np.float64)


def ground_seen_twice(truth: Truth) -> Floats:
    """Return bare ground in the frames of the first two photos, clear of anything that could hide it."""
    surface = truth.surface()
    grid = surface.grid
    bare = cv2.erode(surface.ground.astype(np.uint8), np.ones((31, 31), np.uint8))
    rows, columns = np.nonzero(bare)
    east, north = grid.west_m + (columns + 0.5) * grid.cell_m, grid.north_m - (rows + 0.5) * grid.cell_m
    points = np.column_stack([east, north, surface.heights[rows, columns]])
    pair = Truth(truth.directory, truth.epsg, truth.origin, truth.camera, truth.photos[:2], truth.gps_bias_m)
    return np.asarray(points[seen_by(pair, points) == 2])


def test_same_plan_gives_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        simulate_flight(tmp_path / name, SMALL)

    assert bytes_in(tmp_path / "one") == bytes_in(tmp_path / "two")


def test_another_seed_gives_another_flight(tmp_path: Path) -> None:
    one = simulate_flight(tmp_path / "one", SMALL)
    two = simulate_flight(tmp_path / "two", FlightPlan(photos=2, megapixels=0.03, seed=2))

    assert bytes_in(tmp_path / "one")["DJI_0001.JPG"] != bytes_in(tmp_path / "two")["DJI_0001.JPG"]
    assert one.camera.lens != two.camera.lens


def test_photos_are_the_only_images_beside_the_truth(flight_dir: Path, truth: Truth) -> None:
    suffixes = {path.suffix for path in flight_dir.rglob("*") if path.is_file()}

    assert {path.name for path in flight_dir.glob("*.JPG")} == {photo.name for photo in truth.photos}
    assert suffixes == {".JPG", ".json", ".npz", ".gtiff"}


def test_truth_is_read_back_as_it_was(flight_dir: Path, truth: Truth) -> None:
    read = load_truth(flight_dir)

    assert read.camera == truth.camera
    for one, other in zip(read.photos, truth.photos, strict=True):
        assert one.pose.position == pytest.approx(other.pose.position, abs=1e-6)
        assert one.pose.rotation == pytest.approx(other.pose.rotation, abs=1e-12)


def test_ground_seen_in_two_photos_looks_the_same(flight_dir: Path, truth: Truth) -> None:
    points = ground_seen_twice(truth)

    first, second = (colors_at(flight_dir, truth, number, points) for number in (0, 1))

    assert len(points) > 1000
    assert np.corrcoef(first, second)[0, 1] > 0.8


def test_ground_a_pixel_off_looks_different(flight_dir: Path, truth: Truth) -> None:
    points = ground_seen_twice(truth)
    pixel_m = PLAN.altitude_m / truth.camera.focal_px

    first = colors_at(flight_dir, truth, 0, points)
    right = colors_at(flight_dir, truth, 1, points)
    beside = colors_at(flight_dir, truth, 1, points + np.array([pixel_m, 0, 0]))

    assert np.corrcoef(first, beside)[0, 1] < np.corrcoef(first, right)[0, 1] - 0.03


def test_every_ray_ends_in_the_scene(truth: Truth) -> None:
    surface = truth.surface()
    scene = Scene(surface.grid, surface.heights, np.zeros((1, 1, 3), np.uint8), surface.ground)

    for photo in truth.photos:
        columns, rows, _ = first_hits(Relief(scene), photo.pose, truth.camera.pixel_rays())
        assert 0 < columns.min() < columns.max() < surface.grid.columns
        assert 0 < rows.min() < rows.max() < surface.grid.rows


def test_progress_counts_every_photo(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []

    simulate_flight(tmp_path, SMALL, lambda done, of: heard.append((done, of)))

    assert heard == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    "wrong", [{"photos": 0}, {"megapixels": 0.0}, {"overlap": 1.0}, {"altitude_m": 20.0}, {"relief": 6.0}]
)
def test_plan_that_cannot_be_flown_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"\."):
        FlightPlan(**wrong)  # type: ignore[arg-type] # names and values vary together


@pytest.mark.parametrize(("latitude_deg", "epsg"), [(46.95, 32632), (-33.9, 32732)])
def test_site_north_is_true_north_less_convergence(latitude_deg: float, epsg: int) -> None:
    site = Site.at(latitude_deg, 7.43, 500.0)

    start, end = site.to_geographic(np.array([[0.0, 0, 0], [0, 100.0, 0]]))

    east = (end[0] - start[0]) * np.cos(np.deg2rad(latitude_deg))
    assert np.rad2deg(np.arctan2(east, end[1] - start[1])) == pytest.approx(site.convergence_deg, abs=0.02)
    assert site.epsg == epsg


def test_scene_too_large_for_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="million cells"):
        simulate_flight(tmp_path, FlightPlan(photos=200, megapixels=50))

    assert list(tmp_path.iterdir()) == []
