from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from odm_gateway.orthophoto.exposure import exposure_gains, track_colors

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

    assert (evened / evened.mean(axis=0)) == pytest.approx(np.ones_like(evened), abs=0.01)
    assert np.log(evened / factors).mean() == pytest.approx(0, abs=0.02)


def test_given_burnt_out_colors_when_evened_out_then_nothing_changes() -> None:
    flight = fly()
    white = [replace(one, colors=np.full_like(one.colors, 255)) for one in flight.features]

    assert exposure_gains(white, flight.matches) == pytest.approx(np.ones((len(white), 3)))


def test_given_tracks_when_colored_then_each_has_the_mean_of_its_views() -> None:
    flight = fly()
    features = [
        replace(one, colors=np.full((600, 3), 10 * (photo + 1), np.uint8))
        for photo, one in enumerate(flight.features)
    ]

    colors = track_colors(features, flight.tracks)

    first = flight.tracks.photo[flight.tracks.track == 0]
    assert colors[0] == pytest.approx(np.full(3, 10 * (first.mean() + 1)))
