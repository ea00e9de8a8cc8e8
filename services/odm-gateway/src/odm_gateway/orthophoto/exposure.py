"""Factors that even out how bright and how tinted photos are, from the colours of what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .features import Features
    from .matching import Match
    from .models import Floats
    from .tracks import Tracks

_DARKEST, _BRIGHTEST = 10, 245
_FEWEST_SAMPLES: Final = 10
_PULL_TO_ONE: Final = 0.03
"""Of the weight of a photo's own pairs. Vignetting biases all pairs along a strip alike, which adds up over
a large block: with less pull one end of a map of 167 photos was bleached by a factor of three."""


def exposure_gains(features: Sequence[Features], matches: Sequence[Match]) -> Floats:
    """Return (photos, 3) RGB factors, near 1 in the mean, by least squares on pairwise median log ratios."""
    count = len(features)
    normal = np.zeros((count, count))
    target = np.zeros((count, 3))
    for match in matches:
        one = features[match.first].colors[match.pairs[:, 0]].astype(np.float64)
        two = features[match.second].colors[match.pairs[:, 1]].astype(np.float64)
        exposed = ((np.minimum(one, two) > _DARKEST) & (np.maximum(one, two) < _BRIGHTEST)).all(axis=1)
        weight = float(exposed.sum())
        if weight < _FEWEST_SAMPLES:
            continue
        ratio = np.median(np.log(two[exposed] / one[exposed]), axis=0)
        index = np.array([match.first, match.second])
        normal[np.ix_(index, index)] += weight * np.array([[1, -1], [-1, 1]])
        target[match.first] += weight * ratio
        target[match.second] -= weight * ratio
    normal += np.diag(normal.diagonal() * _PULL_TO_ONE + 1.0)
    gains: Floats = np.exp(np.linalg.solve(normal, target))
    return gains


def track_colors(features: Sequence[Features], tracks: Tracks) -> Floats:
    """Return (tracks, 3) mean RGB of what each photo sees of a track."""
    colors = np.empty((len(tracks.track), 3))
    for photo, one in enumerate(features):
        here = tracks.photo == photo
        colors[here] = one.colors[tracks.feature[here]]
    sums = [np.bincount(tracks.track, weights=colors[:, band], minlength=tracks.count) for band in range(3)]
    return np.column_stack(sums) / tracks.lengths()[:, None]
