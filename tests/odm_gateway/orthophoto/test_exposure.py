from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from odm_gateway.orthophoto.exposure import exposure_gains, track_colors
from odm_gateway.orthophoto.features import Features
from odm_gateway.orthophoto.matching import Match

from .known_flight import fly


def test_given_darker_photos_when_evened_out_then_shared_points_look_alike() -> None:
    flight = fly()
    rng = np.random.default_rng(0)
    factors = rng.uniform(0.7, 1.3, (len(flight.features), 3))
    true = rng.uniform(60, 170, (flight.tracks.count, 3))
    features = []
    for photo, one in enumerate(flight.features):
        seen = true[flight.tracks.track[flight.tracks.photo == photo]] * factors[photo]
        features.append(replace(one, colors=np.round(seen).astype(np.uint8)))

    evened = exposure_gains(features, flight.matches) * factors

    assert (evened / evened.mean(axis=0)) == pytest.approx(np.ones_like(evened), abs=0.02)
    assert np.log(evened / factors).mean() == pytest.approx(0, abs=0.02)


def test_given_burnt_out_colors_when_evened_out_then_nothing_changes() -> None:
    flight = fly()
    white = [replace(one, colors=np.full_like(one.colors, 255)) for one in flight.features]

    assert exposure_gains(white, flight.matches) == pytest.approx(np.ones((len(white), 3)))


def test_given_a_small_bias_of_each_pair_when_evened_out_then_it_does_not_add_up() -> None:
    count, points = 100, 40
    colors = np.full((2 * points, 3), 100, np.uint8)
    # What the next photo sees of a place is always 2 % brighter: the far end would come out at a seventh.
    colors[points:] = 102
    half = np.zeros((2 * points, 2), np.float32)
    photo = Features(half, np.zeros((2 * points, 128), np.uint8), colors, 1.0)
    pairs = np.column_stack([np.arange(points), np.arange(points) + points]).astype(np.int32)
    matches = [Match(first, first + 1, pairs) for first in range(count - 1)]

    gains = exposure_gains([photo] * count, matches)

    assert gains.max() / gains.min() < 1.4


def test_given_tracks_when_colored_then_each_has_the_mean_of_its_views() -> None:
    flight = fly()
    features = [
        replace(one, colors=np.full((600, 3), 10 * (photo + 1), np.uint8))
        for photo, one in enumerate(flight.features)
    ]

    colors = track_colors(features, flight.tracks)

    first = flight.tracks.photo[flight.tracks.track == 0]
    assert colors[0] == pytest.approx(np.full(3, 10 * (first.mean() + 1)))
