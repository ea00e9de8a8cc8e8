"""Where photos lie on a flat ground: one similarity per photo, from matches and GPS.

Plan positions are complex numbers, east + i north; a point of a photo is x - i y, since y points down. A
photo lays its point p at scale * p + center, with ``scale`` complex: its argument is the heading of the
image's right side, its modulus the ground metres that the longer side spans. All equations are linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .features import Features
    from .matching import Match
    from .models import Floats

Complexes = NDArray[np.complex128]

_ROUNDS: Final = 6
_GPS_WEIGHT: Final = 0.5
"""Against a pair. With less the block shrinks, since a smaller one has smaller residuals; more bends it."""
_MAD_TO_SIGMA: Final = 1.4826


@dataclass(frozen=True, slots=True)
class Placement:
    """Photos laid out on the plane."""

    scales: Complexes
    """(photos,) metres per longer side, turned by the heading."""
    centers: Complexes
    """(photos,) where the image centres lie, metres."""
    gps_noise_m: float
    """Standard deviation per axis of GPS against the layout, camera tilt included."""


def largest_group(photo_count: int, matches: Sequence[Match]) -> tuple[NDArray[np.int64], list[int]]:
    """Return which photos make up the largest set linked by matches, and the sizes of all sets, falling."""
    links = csr_matrix(
        (
            np.ones(len(matches)),
            ([match.first for match in matches], [match.second for match in matches]),
        ),
        shape=(photo_count, photo_count),
    )
    _, label = connected_components(links, directed=False)
    sizes = np.bincount(label)
    return np.flatnonzero(label == sizes.argmax()), sorted(sizes.tolist(), reverse=True)


def place(features: Sequence[Features], matches: Sequence[Match], gps: Floats) -> Placement:
    """Lay out photos, all connected by ``matches``; outliers among GPS and matches lose their weight."""
    equations = _pair_equations(features, matches)
    anchors = gps[:, 0] + 1j * gps[:, 1]
    pair_weight, gps_weight = np.ones(len(matches)), np.ones(len(anchors))
    for _ in range(_ROUNDS):
        scales, centers = _solve(equations, pair_weight, anchors, gps_weight)
        pair_weight = _cauchy(equations.residual(scales, centers))
        gps_weight = _cauchy(np.abs(centers - anchors))
    return Placement(scales, centers, _noise(centers - anchors))


@dataclass(frozen=True, slots=True)
class _Equations:
    """Two points of each pair, as the first photo and as the second sees them, should fall together."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    here: Complexes
    """(pairs, 2) in the first photo."""
    there: Complexes

    def residual(self, scales: Complexes, centers: Complexes) -> Floats:
        """Return (pairs,) how far apart the points are laid, metres."""
        one = scales[self.first, None] * self.here + centers[self.first, None]
        two = scales[self.second, None] * self.there + centers[self.second, None]
        apart: Floats = np.abs(one - two).max(axis=1)
        return apart


def _pair_equations(features: Sequence[Features], matches: Sequence[Match]) -> _Equations:
    here, there = [], []
    for match in matches:
        one = as_complex(features[match.first].points[match.pairs[:, 0]])
        two = as_complex(features[match.second].points[match.pairs[:, 1]])
        turn, shift = fit_similarity(one, two)
        spread = np.sqrt(np.mean(np.abs(one - one.mean()) ** 2))
        probes = one.mean() + spread * np.array([1, -1])
        here.append(probes)
        there.append(turn * probes + shift)
    first = np.array([match.first for match in matches])
    second = np.array([match.second for match in matches])
    return _Equations(first, second, np.array(here), np.array(there))


def as_complex(points: NDArray[np.float32]) -> Complexes:
    """Return (n,) image points with the y axis turned up."""
    return points[:, 0].astype(np.float64) - 1j * points[:, 1]


def fit_similarity(source: Complexes, target: Complexes) -> tuple[complex, complex]:
    """Return ``turn`` and ``shift`` that bring ``turn * source + shift`` nearest to ``target``."""
    centered = source - source.mean()
    turn = np.vdot(centered, target - target.mean()) / max(float(np.vdot(centered, centered).real), 1e-12)
    return complex(turn), complex(target.mean() - turn * source.mean())


def _solve(
    equations: _Equations, pair_weight: Floats, anchors: Complexes, gps_weight: Floats
) -> tuple[Complexes, Complexes]:
    """Solve the weighted normal equations; unknowns are all scales, then all centres."""
    count = len(anchors)
    pairs = np.arange(len(equations.first))
    rows, columns, values = [], [], []
    for probe in range(2):
        row = 2 * pairs + probe
        rows += [row, row, row, row]
        columns += [
            equations.first,
            equations.first + count,
            equations.second,
            equations.second + count,
        ]
        one = np.ones(len(pairs))
        values += [
            equations.here[:, probe] * pair_weight,
            one * pair_weight,
            -equations.there[:, probe] * pair_weight,
            -one * pair_weight,
        ]
    weight = _GPS_WEIGHT * gps_weight
    rows.append(2 * len(pairs) + np.arange(count))
    columns.append(count + np.arange(count))
    values.append(weight)
    shape = (2 * len(pairs) + count, 2 * count)
    matrix = csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape
    )
    target = np.concatenate([np.zeros(2 * len(pairs)), weight * anchors])
    adjoint = matrix.conj().T
    solution = splu((adjoint @ matrix).tocsc()).solve(adjoint @ target)
    return solution[:count], solution[count:]


def _cauchy(residual: Floats) -> Floats:
    """Return square roots of Cauchy weights, scaled by the median residual."""
    typical = max(float(np.median(residual)) * _MAD_TO_SIGMA, 1e-6)
    weights: Floats = 1 / np.sqrt(1 + (residual / (2 * typical)) ** 2)
    return weights


def _noise(offsets: Complexes) -> float:
    """Return the standard deviation per axis; the median of a Rayleigh distribution is 1.1774 of it."""
    return float(np.median(np.abs(offsets - np.median(offsets.real) - 1j * np.median(offsets.imag)))) / 1.1774
