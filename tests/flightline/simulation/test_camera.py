from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightline.simulation.camera import Camera, Relief, distort, first_hits, undistort
from flightline.simulation.canvas import Grid, Scene
from flightline.simulation.route import looking_down, yaw_and_pitch_deg
from odm_gateway.orthophoto.models import Lens, Pose

CAMERA = Camera(Lens(0.72, -0.01, 0.008), 160, 120)
GRID = Grid(west_m=-30, north_m=30, cell_m=0.1, rows=600, columns=600)
ABOVE_ORIGIN = Pose(looking_down(np.deg2rad(30)), np.array([1.5, -2.0, 30.0]))


def scene_of(heights: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> Scene:
    return Scene(GRID, heights, np.zeros((*GRID.shape, 3), np.uint8), np.ones(GRID.shape, np.bool_))


def plain_with_wall(height_m: float) -> Scene:
    """A block of 4 m by 20 m whose western side stands at 8 m east."""
    heights = np.zeros(GRID.shape, np.float32)
    heights[200:400, 380:420] = height_m
    return scene_of(heights)


@given(k1=st.floats(-0.1, 0.1), k2=st.floats(-0.05, 0.05), x=st.floats(-0.8, 0.8), y=st.floats(-0.6, 0.6))
def test_undistorting_what_was_distorted_changes_nothing(k1: float, k2: float, x: float, y: float) -> None:
    lens, ray = Lens(0.72, k1, k2), np.array([x, y])

    assert undistort(lens, distort(lens, ray)) == pytest.approx(ray, abs=1e-6)


def test_rays_of_projected_points_lead_back() -> None:
    points = np.array([[4.0, 3.0, 1.0], [-6.0, 2.0, 0.0], [1.5, -2.0, 5.0]])

    rays = CAMERA.rays(CAMERA.project(ABOVE_ORIGIN, points)) @ ABOVE_ORIGIN.rotation

    depths = points[:, 2:] - ABOVE_ORIGIN.position[2]
    assert ABOVE_ORIGIN.position + rays / rays[:, 2:] * depths == pytest.approx(points, abs=1e-9)


def test_picture_with_northern_yaw_shows_east_on_the_right() -> None:
    pose = Pose(looking_down(0), np.array([0.0, 0.0, 30.0]))

    east, north = CAMERA.project(pose, np.array([[5.0, 0, 0], [0, 5.0, 0]]))

    assert east[0] > CAMERA.width / 2
    assert north[1] < CAMERA.height / 2


@pytest.mark.parametrize("yaw_deg", [-170.0, -30.0, 0.0, 95.0])
def test_yaw_and_pitch_are_those_of_the_rotation(yaw_deg: float) -> None:
    assert yaw_and_pitch_deg(looking_down(np.deg2rad(yaw_deg))) == pytest.approx((yaw_deg, -90))


def test_rays_meet_uneven_ground_where_it_projects_to() -> None:
    rows, columns = np.mgrid[:600, :600]
    hills = (1.5 * np.sin(columns / 40) * np.cos(rows / 55)).astype(np.float32)

    columns, rows, heights = first_hits(Relief(scene_of(hills)), ABOVE_ORIGIN, CAMERA.pixel_rays())

    east, north = GRID.west_m + (columns + 0.5) * GRID.cell_m, GRID.north_m - (rows + 0.5) * GRID.cell_m
    pixels = CAMERA.project(ABOVE_ORIGIN, np.stack([east, north, heights], axis=-1).reshape(-1, 3))
    expected = np.stack(np.meshgrid(np.arange(160) + 0.5, np.arange(120) + 0.5), axis=-1).reshape(-1, 2)
    assert np.abs(pixels - expected).max() < 0.01
    assert np.abs(Relief(scene_of(hills)).at(columns, rows) - heights).max() < 0.02


def test_ground_behind_a_wall_is_hidden() -> None:
    pose = Pose(looking_down(0), np.array([0.0, 0.0, 30.0]))

    columns, _, heights = first_hits(Relief(plain_with_wall(6.0)), pose, CAMERA.pixel_rays())

    east_m = GRID.west_m + (columns[60] + 0.5) * GRID.cell_m
    shadow_end_m = 12.0 * 30 / (30 - 6)
    hidden = (heights[60] < 0.1) & (east_m > 8.1) & (east_m < shadow_end_m - 0.1)
    assert not hidden.any()
    assert (heights[60] > 5.9).any()


def test_flat_ground_in_that_place_is_seen() -> None:
    pose = Pose(looking_down(0), np.array([0.0, 0.0, 30.0]))

    columns, _, _ = first_hits(Relief(plain_with_wall(0.0)), pose, CAMERA.pixel_rays())

    east_m = GRID.west_m + (columns[60] + 0.5) * GRID.cell_m
    assert ((east_m > 12.1) & (east_m < 14.9)).sum() > 5
