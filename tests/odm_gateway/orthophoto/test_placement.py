from __future__ import annotations

import numpy as np
import pytest

from odm_gateway.orthophoto.matching import Match
from odm_gateway.orthophoto.placement import fit_similarity, largest_group, place

from .known_flight import HEIGHT_M, LENS, fly

PAIR = np.zeros((30, 2), np.int32)


def test_given_two_islands_when_grouped_then_the_larger_is_returned() -> None:
    members, sizes = largest_group(6, [Match(0, 3, PAIR), Match(3, 5, PAIR), Match(1, 2, PAIR)])

    assert members.tolist() == [0, 3, 5]
    assert sizes == [3, 2, 1]


def test_given_a_turned_figure_when_fitted_then_turn_and_shift_are_exact() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=20) + 1j * rng.normal(size=20)

    turn, shift = fit_similarity(source, 2j * source + (3 - 1j))

    assert turn == pytest.approx(2j)
    assert shift == pytest.approx(3 - 1j)


def test_given_a_flight_when_placed_then_scale_and_heading_are_near() -> None:
    flight = fly()

    placement = place(flight.features, flight.matches, flight.scene.positions)

    right = flight.scene.rotations[:, 0, 0] + 1j * flight.scene.rotations[:, 0, 1]
    assert np.abs(np.angle(placement.scales / right)).max() < np.radians(4)
    assert np.median(np.abs(placement.scales)) == pytest.approx(HEIGHT_M / LENS.focal, rel=0.05)


def test_given_gps_noise_when_placed_then_it_is_measured() -> None:
    flight = fly(lines=6, photos=6)
    noise = np.random.default_rng(1).normal(0, 8.0, flight.scene.positions.shape)

    placement = place(flight.features, flight.matches, flight.scene.positions + noise)

    assert placement.gps_noise_m == pytest.approx(8.0, rel=0.35)


def test_given_a_false_pair_when_placed_then_the_layout_hardly_moves() -> None:
    flight = fly()
    rng = np.random.default_rng(2)
    wrong = rng.permuted(flight.matches[0].pairs, axis=0).astype(np.int32)
    spoilt = [Match(0, 15, wrong), *flight.matches]

    sound = place(flight.features, flight.matches, flight.scene.positions)
    placement = place(flight.features, spoilt, flight.scene.positions)

    assert np.abs(placement.centers - sound.centers).max() < 1.0
