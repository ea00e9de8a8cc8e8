from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from odm_gateway.orthophoto.models import EngineError
from odm_gateway.orthophoto.surface import build_surface, triangulate_surface

from .known_flight import HEIGHT_M, PIXEL, fly

IMAGE_SIZE = (1600, 1200)


def plane(
    points: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return heights of a plane that rises by 10 % to the east and falls by 5 % to the north."""
    return np.asarray(0.1 * points[:, 0] - 0.05 * points[:, 1])


def test_given_exact_rays_when_triangulated_then_points_are_the_truth() -> None:
    flight = fly(points=2000)

    ground = triangulate_surface(flight.scene, flight.tracks, PIXEL)

    error = np.linalg.norm(ground.points - flight.scene.points[ground.tracks], axis=1)
    assert error.max() < 1e-3
    assert len(ground.points) > 0.8 * len(flight.scene.points)


def test_given_a_false_match_when_triangulated_then_its_point_is_left_out() -> None:
    flight = fly(points=2000)
    spoilt = flight.tracks.points.copy()
    spoilt[flight.tracks.track == 7] += [[0.02, 0.0]] * np.arange(flight.tracks.lengths()[7])[:, None]

    ground = triangulate_surface(flight.scene, replace(flight.tracks, points=spoilt), PIXEL)

    assert 7 not in ground.tracks
    assert len(ground.tracks) > 1000


def test_given_a_plane_when_gridded_then_heights_are_its_own() -> None:
    scene = fly(points=3000).scene
    points = np.column_stack([scene.points[:, :2], plane(scene.points)])

    surface = build_surface(scene, points, IMAGE_SIZE)

    rows, columns = surface.heights.shape
    east = surface.west_m + surface.cell_m * (np.arange(columns) + 0.5)
    north = surface.north_m - surface.cell_m * (np.arange(rows) + 0.5)
    inside = np.ix_((north > -15) & (north < 50), (east > -15) & (east < 50))
    truth = 0.1 * east[None, :] - 0.05 * north[:, None]
    assert np.abs(surface.heights - truth)[inside].max() < 0.02
    assert np.isfinite(surface.heights).all()


def test_given_a_flight_when_gridded_then_the_grid_covers_all_that_is_seen() -> None:
    scene = fly(points=3000).scene

    surface = build_surface(scene, scene.points, IMAGE_SIZE)

    reach = 0.5 * HEIGHT_M / scene.lens.focal
    assert surface.west_m < scene.positions[:, 0].min() - 0.8 * reach
    assert surface.north_m > scene.positions[:, 1].max() + 0.5 * reach
    assert surface.cell_m == pytest.approx(max(0.25, 4 * HEIGHT_M / (0.75 * 1600)), rel=0.05)


def test_given_a_single_spike_when_gridded_then_it_is_smoothed_away() -> None:
    scene = fly(points=3000).scene
    points = np.column_stack([scene.points[:, :2], np.zeros(len(scene.points))])
    points[0] = [20.0, 20.0, 0.0]
    points[1:4] = points[0] + [[0.3, 0, 0], [0, 0.3, 0], [0.15, 0.15, 5.0]]

    surface = build_surface(scene, points, IMAGE_SIZE)

    assert surface.heights.max() < 2.5


@pytest.mark.parametrize("points", [np.zeros((3, 3)), np.outer(np.arange(20.0), [1, 1, 0])])
def test_given_points_that_span_nothing_when_gridded_then_it_is_refused(
    points: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> None:
    with pytest.raises(EngineError) as refusal:
        build_surface(fly().scene, points, IMAGE_SIZE)

    assert refusal.value.code == "UNSTABLE"
