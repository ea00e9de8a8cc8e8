from __future__ import annotations

import numpy as np
import pytest

from flightline.simulation.canvas import Grid, Scene
from flightline.simulation.light import Sun, cast_shadow
from flightline.simulation.terrain import build_scene, lowest_ground_m

GRID = Grid(west_m=-40, north_m=30, cell_m=0.1, rows=600, columns=800)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return build_scene(GRID, seed=3)


def test_same_seed_gives_same_scene(scene: Scene) -> None:
    again = build_scene(GRID, seed=3)

    assert np.array_equal(again.colors, scene.colors)
    assert np.array_equal(again.heights, scene.heights)


def test_detail_goes_down_to_single_cells(scene: Scene) -> None:
    grey = scene.colors.astype(np.float32).mean(axis=2)[scene.ground.nonzero()[0].min() :]

    neighbours = np.abs(np.diff(grey, axis=1))

    assert np.median(neighbours) > 4


def test_no_two_places_look_alike(scene: Scene) -> None:
    grey = scene.colors.astype(np.float32).mean(axis=2)
    tiles = grey.reshape(12, 50, 16, 50).swapaxes(1, 2).reshape(-1, 2500)

    likeness = np.corrcoef(tiles)

    assert np.abs(likeness - np.eye(len(tiles))).max() < 0.9


def test_something_stands_on_the_ground(scene: Scene) -> None:
    assert 0.02 < 1 - scene.ground.mean() < 0.3
    assert scene.heights[~scene.ground].max() > scene.heights[scene.ground].max() + 1


@pytest.mark.parametrize("relief", [0.0, 1.0, 4.0])
def test_ground_stays_above_its_lowest(relief: float) -> None:
    scene = build_scene(GRID, seed=5, relief=relief)

    ground = scene.heights[scene.ground]

    assert lowest_ground_m(relief) <= ground.min()
    assert np.ptp(ground) == pytest.approx(0, abs=1e-6) if relief == 0 else np.ptp(ground) > relief


def test_softness_takes_detail_away(scene: Scene) -> None:
    soft = build_scene(GRID, seed=3, softness_px=3)

    assert np.std(np.diff(soft.colors.astype(float), axis=1)) < 0.5 * np.std(
        np.diff(scene.colors.astype(float), axis=1)
    )


def test_shadow_lies_away_from_the_sun() -> None:
    heights = np.zeros((101, 101), np.float32)
    heights[45:56, 45:56] = 3.0

    shadow = cast_shadow(heights, cell_m=0.1, sun=Sun(azimuth_deg=90, elevation_deg=45))

    assert shadow[50, 35] == 1
    assert shadow[50, 65] == 0
    assert shadow[50, 10] == 0
