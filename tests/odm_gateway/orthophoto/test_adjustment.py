from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from odm_gateway.orthophoto.adjustment import settle
from odm_gateway.orthophoto.placement import place
from odm_gateway.orthophoto.settled import restrict

from .known_flight import LENS, PIXEL, KnownFlight, fly

if TYPE_CHECKING:
    from odm_gateway.orthophoto.models import Floats
    from odm_gateway.orthophoto.settled import Settled


def settled(flight: KnownFlight, gps: Floats, focal_error: float = 1.0) -> Settled:
    placement = place(flight.features, flight.matches, gps)
    focal = (LENS.focal * focal_error, 0.003)
    return settle(placement, flight.tracks, gps, focal, PIXEL, None, lambda _: None)


def test_given_a_flight_when_settled_then_poses_are_near_the_truth() -> None:
    flight = fly(points=3000, noise_px=0.5)
    gps = flight.scene.positions + np.random.default_rng(1).normal(0, 0.1, flight.scene.positions.shape)

    found = settled(flight, gps)

    off = found.scene.positions - flight.scene.positions
    assert np.abs(off[:, :2]).max() < 0.3
    assert found.scene.lens.focal == pytest.approx(LENS.focal, rel=0.01)
    assert found.dropped == {}


def test_given_gps_far_off_when_settled_then_shapes_still_hold() -> None:
    flight = fly(lines=5, photos=5, points=3000, noise_px=0.5)
    noise = np.random.default_rng(1).normal(0, 8.0, flight.scene.positions.shape) * [1, 1, 0.1]

    found = settled(flight, flight.scene.positions + noise)

    between = np.linalg.norm(np.diff(found.scene.positions, axis=0), axis=1)
    truth = np.linalg.norm(np.diff(flight.scene.positions, axis=0), axis=1)
    assert np.median(np.abs(between / np.median(between / truth) - truth)) < 0.5
    assert len(found.photos) == 25


@pytest.mark.parametrize("altitude", [np.nan, 0.0])
def test_given_no_use_of_altitudes_when_settled_then_cameras_are_above_ground(altitude: float) -> None:
    flight = fly(points=3000, noise_px=0.5)
    gps = flight.scene.positions.copy()
    gps[::2, 2] = altitude

    found = settled(flight, gps)

    height = found.scene.positions[:, 2] - np.median(found.scene.points[:, 2])
    assert not found.vertical_gps
    assert height == pytest.approx(np.full(16, 50.0), rel=0.06)


def test_given_a_photo_with_false_rays_when_settled_then_it_is_dropped_by_reason() -> None:
    flight = fly(points=3000, noise_px=0.3)
    spoilt = flight.tracks.points.copy()
    mine = flight.tracks.photo == 5
    spoilt[mine] = np.random.default_rng(0).permutation(spoilt[mine])

    found = settled(replace(flight, tracks=replace(flight.tracks, points=spoilt)), flight.scene.positions)

    assert list(found.dropped) == [5]
    assert 5 not in found.photos
    assert len(found.scene.positions) == len(found.photos) == 15


def test_given_fewer_photos_when_restricted_then_points_and_rays_still_agree() -> None:
    flight = fly()
    photos = np.array([1, 2, 5, 6])

    scene, tracks = restrict(flight.scene, flight.tracks, photos)

    assert len(scene.points) == tracks.count
    assert tracks.photo.max() == 3
    assert tracks.lengths().min() == 2
