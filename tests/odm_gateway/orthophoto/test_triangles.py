from __future__ import annotations

import numpy as np
from scipy.interpolate import LinearNDInterpolator

from odm_gateway.orthophoto.triangles import interpolate_linear


def test_given_scattered_heights_when_interpolated_then_scipy_agrees() -> None:
    rng = np.random.default_rng(0)
    places, heights = rng.uniform(-3, 63, (400, 2)), rng.normal(size=400)

    grid = interpolate_linear(places[:, 0], places[:, 1], heights, (50, 60))

    expected = LinearNDInterpolator(places, heights)(*np.meshgrid(np.arange(60), np.arange(50)))
    assert np.array_equal(np.isnan(grid), np.isnan(expected))
    assert np.nanmax(np.abs(grid - expected)) < 1e-5


def test_given_points_on_cell_centres_when_interpolated_then_no_hole_is_left() -> None:
    column, row = (axis.ravel().astype(np.float64) for axis in np.meshgrid(np.arange(9), np.arange(7)))

    grid = interpolate_linear(column, row, 2 * column - row, (7, 9))

    assert np.abs(grid.ravel() - (2 * column - row)).max() < 1e-9
