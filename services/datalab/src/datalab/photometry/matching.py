"""Which sources of two lists are the same star, by where they are in the sky."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from datalab.photometry.exposures import Numbers

_ARCSEC = np.pi / 180 / 3600


def unit_vectors(ra: ArrayLike, dec: ArrayLike) -> Numbers:
    """Return directions in the sky as rows of x, y, z."""
    right, up = np.radians(np.asarray(ra, float)), np.radians(np.asarray(dec, float))
    return np.column_stack(
        np.broadcast_arrays(np.cos(up) * np.cos(right), np.cos(up) * np.sin(right), np.sin(up))
    )


def chord(arcsec: float) -> float:
    """Return the straight distance between unit vectors that an angle is."""
    return float(2 * np.sin(min(arcsec * _ARCSEC, np.pi) / 2))


def separation_arcsec(ra: ArrayLike, dec: ArrayLike, other_ra: ArrayLike, other_dec: ArrayLike) -> Numbers:
    """Return angles in the sky."""
    apart = np.linalg.norm(unit_vectors(ra, dec) - unit_vectors(other_ra, other_dec), axis=1)
    angles: Numbers = 2 * np.arcsin(np.minimum(apart / 2, 1.0)) / _ARCSEC
    return angles


def matched(
    vectors: Numbers, others: Numbers, radius_arcsec: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return indices into both lists of what is one star: mutual nearest neighbours within the radius."""
    if not len(vectors) or not len(others):
        nothing = np.zeros(0, np.intp)
        return nothing, nothing
    reach = chord(radius_arcsec)
    apart, there = cKDTree(others).query(vectors, distance_upper_bound=reach)
    near = np.flatnonzero(np.isfinite(apart))
    _, back = cKDTree(vectors).query(others[there[near]])
    mutual = near[back == near]
    return mutual, there[mutual]
