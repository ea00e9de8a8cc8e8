from __future__ import annotations

import numpy as np

from odm_gateway.orthophoto.features import Features
from odm_gateway.orthophoto.matching import Match
from odm_gateway.orthophoto.tracks import build_tracks, select_balanced

from .known_flight import fly


def features(count: int) -> Features:
    points = np.linspace(-0.4, 0.4, 2 * count).reshape(count, 2).astype(np.float32)
    return Features(points, np.zeros((count, 128), np.uint8), np.zeros((count, 3), np.uint8), 1.0)


def match(first: int, second: int, *pairs: tuple[int, int]) -> Match:
    return Match(first, second, np.array(pairs, np.int32))


def test_given_a_chain_of_matches_when_joined_then_it_is_one_track() -> None:
    tracks = build_tracks([features(4)] * 3, [match(0, 1, (2, 1)), match(1, 2, (1, 3))])

    assert tracks.count == 1
    assert tracks.photo.tolist() == [0, 1, 2]
    assert tracks.feature.tolist() == [2, 1, 3]


def test_given_a_track_that_meets_a_photo_twice_when_joined_then_it_is_left_out() -> None:
    contradiction = [match(0, 1, (0, 0)), match(1, 2, (0, 0)), match(0, 2, (1, 0))]
    sound = [match(0, 1, (3, 3))]

    tracks = build_tracks([features(4)] * 3, contradiction + sound)

    assert tracks.count == 1
    assert tracks.feature.tolist() == [3, 3]


def test_given_known_observations_when_matched_and_joined_then_they_are_the_same_tracks() -> None:
    flight = fly()

    tracks = build_tracks(flight.features, flight.matches)

    assert tracks.count == flight.tracks.count
    assert np.array_equal(np.sort(tracks.lengths()), np.sort(flight.tracks.lengths()))


def test_given_an_observation_dropped_when_kept_then_single_rays_go_too() -> None:
    tracks = build_tracks([features(4)] * 3, [match(0, 1, (0, 0), (1, 1)), match(1, 2, (1, 1))])

    kept = tracks.keep(tracks.photo != 0)

    assert kept.count == 1
    assert kept.photo.tolist() == [1, 2]


def test_given_many_tracks_when_selected_then_photos_keep_even_and_long_ones() -> None:
    tracks = fly(points=6000).tracks

    chosen = select_balanced(tracks, 100)

    per_photo = np.bincount(tracks.photo[chosen[tracks.track]])
    assert per_photo.min() >= 60
    assert per_photo.max() < 0.5 * np.bincount(tracks.photo).max()
    assert tracks.lengths()[chosen].mean() > tracks.lengths().mean() + 1
