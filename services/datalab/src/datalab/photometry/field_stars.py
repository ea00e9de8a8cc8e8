"""The stars of a field, gathered from the catalogues of its images: what targets can be compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datalab.photometry.exposures import Exposure, Numbers
from datalab.photometry.matching import chord, matched, unit_vectors
from datalab.photometry.sources import Sources

SAME_STAR_ARCSEC: Final = 1.0
MOST_STARS: Final = 3000
MOST_OF_AN_IMAGE: Final = 1000
MOST_NEIGHBOUR_LIGHT: Final = 0.02
"""Of a comparison star's own, within its aperture."""
MOST_OF_SATURATION: Final = 0.8
"""That a comparison star's highest pixel may have."""
MOST_ERROR_MAG: Final = 0.2
_ERROR_FLOOR_MAG: Final = 0.005
_NEIGHBOURS: Final = 6


@dataclass
class FieldStars:
    """Stars, each with how often it was seen and what its catalogued magnitude is in the mean."""

    vectors: Numbers = field(default_factory=lambda: np.zeros((0, 3)))
    ra: Numbers = field(default_factory=lambda: np.zeros(0))
    dec: Numbers = field(default_factory=lambda: np.zeros(0))
    seen: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """In how many images."""
    unfit: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """In how many it was crowded, saturated or flagged."""
    weighted: Numbers = field(default_factory=lambda: np.zeros((0, 2)))
    """Sums of weighted magnitudes: not calibrated, calibrated."""
    weights: Numbers = field(default_factory=lambda: np.zeros((0, 2)))
    images: int = 0

    def add(self, found: Sources, image: Exposure, aperture_arcsec: float) -> None:
        """Add the sources of one image."""
        self.images += 1
        vectors = unit_vectors(found.ra, found.dec)
        fit = _alone(found, vectors, aperture_arcsec) & _proper(found, image)
        some = slice(MOST_OF_AN_IMAGE)
        known, again = matched(self.vectors, vectors[some], SAME_STAR_ARCSEC)
        self._count(known, found[again], fit[again])
        is_new = np.ones(len(vectors[some]), np.bool_)
        is_new[again] = False
        new = np.flatnonzero(is_new)[: MOST_STARS - len(self.ra)]
        first = len(self.ra)
        self._append(vectors[new], found[new])
        self._count(np.arange(first, len(self.ra)), found[new], fit[new])

    def _append(self, vectors: Numbers, found: Sources) -> None:
        many = len(vectors)
        self.vectors = np.concatenate([self.vectors, vectors])
        self.ra, self.dec = np.append(self.ra, found.ra), np.append(self.dec, found.dec)
        self.seen = np.append(self.seen, np.zeros(many, np.int64))
        self.unfit = np.append(self.unfit, np.zeros(many, np.int64))
        self.weighted = np.concatenate([self.weighted, np.zeros((many, 2))])
        self.weights = np.concatenate([self.weights, np.zeros((many, 2))])

    def _count(self, stars: NDArray[np.intp], found: Sources, fit: NDArray[np.bool_]) -> None:
        self.seen[stars] += 1
        self.unfit[stars] += ~fit
        weight = np.where(np.isfinite(found.mag), 1 / (found.magerr**2 + _ERROR_FLOOR_MAG**2), 0.0)
        weight = np.nan_to_num(weight)
        self.weights[stars, int(found.calibrated)] += weight
        self.weighted[stars, int(found.calibrated)] += weight * np.nan_to_num(found.mag)

    @property
    def is_calibrated(self) -> bool:
        """Return whether any image brought calibrated magnitudes; only those count then."""
        return bool((self.weights[:, 1] > 0).any())

    @property
    def magnitudes(self) -> Numbers:
        """Return the mean magnitude of each star, NaN where there is none."""
        weights = self.weights[:, int(self.is_calibrated)]
        sums = self.weighted[:, int(self.is_calibrated)]
        means: Numbers = np.divide(sums, weights, out=np.full(len(sums), np.nan), where=weights > 0)
        return means

    def fit_to_compare(self, least_seen: int) -> NDArray[np.intp]:
        """Return the stars seen so often, most times without fault, the brightest first."""
        mags = self.magnitudes
        fit = (self.seen >= least_seen) & (2 * self.unfit < self.seen) & np.isfinite(mags)
        stars = np.flatnonzero(fit)
        return stars[np.argsort(mags[stars], kind="stable")]

    def near(self, ra: float, dec: float, radius_arcsec: float) -> NDArray[np.intp]:
        """Return the stars around a place, the nearest first."""
        apart = np.linalg.norm(self.vectors - unit_vectors(ra, dec), axis=1)
        stars = np.flatnonzero(apart <= chord(radius_arcsec))
        return stars[np.argsort(apart[stars])]


def _proper(found: Sources, image: Exposure) -> NDArray[np.bool_]:
    unsaturated = ~(found.peak > MOST_OF_SATURATION * image.saturation)
    good: NDArray[np.bool_] = (found.flag == 0) & unsaturated & (found.magerr < MOST_ERROR_MAG)
    return good


def _alone(found: Sources, vectors: Numbers, aperture_arcsec: float) -> NDArray[np.bool_]:
    """Return which sources have no neighbour whose light would be measured with theirs."""
    many = min(_NEIGHBOURS, len(vectors))
    if many < 2:  # noqa: PLR2004 - itself and another
        return np.ones(len(vectors), np.bool_)
    reach = chord(aperture_arcsec)
    _, others = cKDTree(vectors).query(vectors, k=many, distance_upper_bound=reach)
    flux = np.append(np.maximum(found.flux, 0), 0.0)  # the last is the neighbour that is not there
    light = flux[others[:, 1:]].sum(axis=1)
    alone: NDArray[np.bool_] = light <= MOST_NEIGHBOUR_LIGHT * found.flux
    return alone
