from __future__ import annotations

import numpy as np
import pytest

from odm_gateway.orthophoto.alignment import _transform, align, fit_similarity_3d
from odm_gateway.orthophoto.camera import rotation_exp

from .known_flight import fly

TURN = rotation_exp(np.array([[0.3, -0.2, 1.0]]))[0]
SHIFT = np.array([100.0, -50.0, 20.0])


def test_given_a_moved_figure_when_fitted_then_the_move_is_exact() -> None:
    source = np.random.default_rng(0).normal(size=(12, 3))

    scale, turn, shift = fit_similarity_3d(source, 1.7 * source @ TURN.T + SHIFT, np.ones(12))

    assert scale == pytest.approx(1.7)
    assert np.abs(turn - TURN).max() < 1e-9
    assert shift == pytest.approx(SHIFT)


def test_given_a_moved_block_when_aligned_then_it_returns() -> None:
    truth = fly().scene

    aligned = align(_transform(truth, 1.2, TURN, SHIFT), truth.positions, vertical=True)

    assert np.abs(aligned.positions - truth.positions).max() < 1e-3
    assert np.abs(aligned.rotations - truth.rotations).max() < 1e-3


def test_given_one_false_gps_position_when_aligned_then_the_others_fit() -> None:
    truth = fly().scene
    gps = truth.positions.copy()
    gps[3] += [30.0, 0.0, 40.0]

    aligned = align(_transform(truth, 1.2, TURN, SHIFT), gps, vertical=True)

    assert np.abs(aligned.positions - truth.positions).max() < 0.5


@pytest.mark.parametrize("vertical", [True, False])
def test_given_a_single_strip_when_aligned_then_it_is_not_tipped_over(*, vertical: bool) -> None:
    truth = fly(lines=1, photos=8).scene
    noisy = truth.positions + np.random.default_rng(4).normal(0, 0.5, truth.positions.shape)
    gps = noisy if vertical else noisy * [1, 1, np.nan]

    aligned = align(_transform(truth, 0.8, TURN, SHIFT), gps, vertical=vertical)

    tilt = np.degrees(np.arccos(-aligned.rotations[:, 2, 2].mean()))
    assert tilt < 5
    assert np.abs(aligned.positions - truth.positions)[:, :2].max() < 1.5


def test_given_a_strip_that_climbs_when_aligned_then_its_slope_is_kept() -> None:
    level = fly(lines=1, photos=8).scene
    truth = _transform(level, 1.0, rotation_exp(np.array([[0.0, -0.15, 0.0]]))[0], SHIFT)

    aligned = align(_transform(truth, 0.8, TURN, SHIFT), truth.positions, vertical=True)

    assert np.abs(aligned.positions - truth.positions)[:, 2].max() < 1.0
