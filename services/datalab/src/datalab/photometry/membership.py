"""Which stars of a field are a cluster's: a guess for users to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datalab.photometry.exposures import Numbers

LEAST_STARS: Final = 10
LEAST_CLUMP: Final = 5
CLUMP_MAS_YR: Final = 1.5
"""Within so much of each other, proper motions are looked on as one."""
RADII_MAS_YR: Final = (0.5, 5.0)
SIGMAS: Final = 3.0
LEAST_PARALLAX_SIGMA_MAS: Final = 0.05
_MOST_COMPARED: Final = 4000
_SIGMA_OF_DEVIATION: Final = 1.4826
_ROUNDS: Final = 5


def guess(
    pmra: Numbers,
    pmdec: Numbers,
    parallax: Numbers,
    distance: Numbers,
    distance_low: Numbers,
    distance_high: Numbers,
) -> Mapping[str, float | None] | None:
    """Return a circle of proper motions, ranges of parallax and distance; None when no clump is clear."""
    known = np.isfinite(pmra) & np.isfinite(pmdec)
    motions = np.column_stack([pmra, pmdec])[known]
    if len(motions) < LEAST_STARS:
        return None
    centre = _densest(motions)
    near = _within(motions, centre, CLUMP_MAS_YR)
    if near.sum() < LEAST_CLUMP:
        return None
    for _ in range(_ROUNDS):
        centre = np.median(motions[near], axis=0)
        near = _within(motions, centre, CLUMP_MAS_YR)
    spread = _SIGMA_OF_DEVIATION * np.median(np.abs(motions[near] - centre))
    radius = float(np.clip(SIGMAS * spread, *RADII_MAS_YR))
    members = np.flatnonzero(known)[_within(motions, centre, radius)]
    low, high = distance_low[members], distance_high[members]
    return {
        "pmra": float(centre[0]),
        "pmdec": float(centre[1]),
        "pm_radius": radius,
        **_range("parallax", parallax[members], LEAST_PARALLAX_SIGMA_MAS),
        **_range("distance", distance[members], _typical((high - low) / 2), least=0.0),
    }


def _densest(motions: Numbers) -> Numbers:
    """Return the proper motion with most others around it."""
    tree = cKDTree(motions)
    some = motions[:: -(-len(motions) // _MOST_COMPARED)]
    crowd = tree.query_ball_point(some, CLUMP_MAS_YR / 2, return_length=True)
    densest: Numbers = some[int(np.argmax(crowd))]
    return densest


def _within(motions: Numbers, centre: Numbers, radius: float) -> NDArray[np.bool_]:
    within: NDArray[np.bool_] = np.hypot(*(motions - centre).T) <= radius
    return within


def _typical(values: Numbers) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else 0.0


def _range(name: str, values: Numbers, least_sigma: float, least: float = -np.inf) -> dict[str, float | None]:
    """Return from where to where most members are; None when too few are known."""
    values = values[np.isfinite(values)]
    if len(values) < LEAST_CLUMP:
        return {f"{name}_min": None, f"{name}_max": None}
    middle = float(np.median(values))
    sigma = max(_SIGMA_OF_DEVIATION * float(np.median(np.abs(values - middle))), least_sigma)
    return {f"{name}_min": max(least, middle - SIGMAS * sigma), f"{name}_max": middle + SIGMAS * sigma}
