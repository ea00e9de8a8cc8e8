from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from odm_gateway.orthophoto.bundle import Priors, _jacobians, adjust, residuals
from odm_gateway.orthophoto.camera import rotation_exp
from odm_gateway.orthophoto.models import Lens

from .known_flight import LENS, PIXEL, KnownFlight, fly

if TYPE_CHECKING:
    from odm_gateway.orthophoto.bundle import Scene
    from odm_gateway.orthophoto.models import Floats

EXACT = np.array([0.01, 0.01, 0.01])


def priors(flight: KnownFlight, gps_sigma: Floats = EXACT, lens: Lens = LENS) -> Priors:
    return Priors(flight.scene.positions, gps_sigma, lens, np.array([0.05, 0.05, 0.05]))


def shaken(scene: Scene, seed: int = 3) -> Scene:
    """Return a scene a few degrees and metres off."""
    rng = np.random.default_rng(seed)
    return replace(
        scene,
        rotations=rotation_exp(rng.normal(0, 0.05, scene.positions.shape)) @ scene.rotations,
        positions=scene.positions + rng.normal(0, 1.0, scene.positions.shape),
        lens=Lens(scene.lens.focal * 1.02, 0.0, 0.0),
        points=scene.points + rng.normal(0, 2.0, scene.points.shape),
    )


def moved(scene: Scene, axis: int, step: float) -> Scene:
    """Return the scene with every pose (0-5), the lens (6-8) or every point (9-11) moved along one axis."""
    shift = step * np.eye(3)[axis % 3]
    match axis // 3:
        case 0:
            return replace(scene, rotations=rotation_exp(shift[None]) @ scene.rotations)
        case 1:
            return replace(scene, positions=scene.positions + shift)
        case 2:
            lens = Lens(LENS.focal + shift[0], LENS.k1 + shift[1], LENS.k2 + shift[2])
            return replace(scene, lens=lens)
        case _:
            return replace(scene, points=scene.points + shift)


@pytest.mark.parametrize("axis", range(12))
def test_given_a_small_move_when_differentiated_then_jacobians_agree(axis: int) -> None:
    flight = fly(lines=2, photos=2, points=100)
    _, by_pose, by_lens, by_point = _jacobians(flight.scene, flight.tracks)

    forth = residuals(moved(flight.scene, axis, 1e-6), flight.tracks)
    back = residuals(moved(flight.scene, axis, -1e-6), flight.tracks)

    analytic = np.concatenate([by_pose, by_lens, by_point], axis=2)[:, :, axis]
    assert np.abs(analytic - (forth - back) / 2e-6).max() < 1e-6


def test_given_exact_observations_when_adjusted_then_the_truth_is_found() -> None:
    flight = fly()

    found = adjust(
        shaken(flight.scene), flight.tracks, priors(flight), PIXEL, 1000.0, iterations=40, tolerance=1e-9
    )

    assert np.abs(found.positions - flight.scene.positions).max() < 0.01
    assert found.lens.focal == pytest.approx(LENS.focal, rel=1e-3)
    assert (found.lens.k1, found.lens.k2) == pytest.approx((LENS.k1, LENS.k2), abs=2e-3)


def test_given_false_observations_when_adjusted_then_they_are_borne() -> None:
    flight = fly(noise_px=0.3)
    rng = np.random.default_rng(5)
    spoilt = flight.tracks.points.copy()
    wrong = rng.random(len(spoilt)) < 0.05
    spoilt[wrong] += rng.uniform(-0.1, 0.1, (wrong.sum(), 2))
    tracks = replace(flight.tracks, points=spoilt)

    found = adjust(shaken(flight.scene), tracks, priors(flight), PIXEL, 1.5, iterations=40, tolerance=1e-5)

    assert np.median(np.linalg.norm(found.points - flight.scene.points, axis=1)) < 0.15
    assert np.median(np.abs(residuals(found, tracks)) / PIXEL) < 0.4


def test_given_no_altitudes_when_adjusted_then_plan_positions_still_hold() -> None:
    flight = fly(noise_px=0.3)
    known = priors(flight)
    without = replace(known, gps=known.gps * [1, 1, np.nan])

    found = adjust(shaken(flight.scene), flight.tracks, without, PIXEL, 6.0, iterations=40, tolerance=1e-5)

    assert np.isfinite(found.positions).all()
    assert np.abs(found.positions - flight.scene.positions)[:, :2].max() < 0.1


def test_given_a_step_when_adjusted_then_the_cost_never_rises() -> None:
    flight = fly(noise_px=1.0)
    start = shaken(flight.scene)
    errors = [
        np.sqrt(np.mean(residuals(
            adjust(start, flight.tracks, priors(flight), PIXEL, 1000.0, steps, 0.0), flight.tracks
        ) ** 2))
        for steps in (0, 1, 3, 10)
    ]  # fmt: skip

    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 20
