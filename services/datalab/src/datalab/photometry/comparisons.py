"""Which stars a target is compared with: those that were steadiest, with the magnitudes that they have."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datalab.photometry.exposures import Numbers
from datalab.photometry.sources import MAGNITUDE_OF_RELATIVE

MOST_OFF_MAG: Final = 0.5
"""That a star's measured magnitude may be from its catalogued one: beyond, it is another star's."""
LEAST_COVERAGE: Final = 0.8
"""Of the images, that a star must be measured in which is compared with in all."""
_SIGMA_OF_DEVIATION: Final = 1.4826
_ROUNDS: Final = 2


@dataclass(frozen=True)
class MeasuredStars:
    """Stars measured in one image, by their place in the list of all."""

    stars: NDArray[np.intp]
    counts: Numbers
    error: Numbers
    x: Numbers
    y: Numbers
    exposure_s: float


@dataclass(frozen=True)
class Ranking:
    """Stars to compare with, the steadiest first."""

    order: NDArray[np.intp]
    """Places in the list of all stars."""
    magnitudes: Numbers
    """Of all stars: catalogued, and brought into line with each other by all images."""
    scatter: Numbers
    """Of all stars, around their own mean."""

    def best(self, many: int) -> NDArray[np.intp]:
        """Return the first of them."""
        return self.order[:many]


def rank(images: Sequence[MeasuredStars], catalogued: Numbers, *, in_most_images: bool) -> Ranking:
    """Return the stars to compare with.

    Every image has a zero point, the median over its stars; what is left of each star is its offset from the
    catalogue, and its scatter. The steadiest are those with the least scatter and noise.

    Args:
        images: What was measured.
        catalogued: The magnitude of each star.
        in_most_images: Whether stars count only that were measured in most images.
    """
    seen, errors = _table(images, len(catalogued))
    good = np.isfinite(seen).any(axis=0)
    offset, scatter = np.zeros(len(catalogued)), np.full(len(catalogued), np.nan)
    for _ in range(_ROUNDS):
        residual = seen - catalogued
        zero_points = _median(np.where(good, residual, np.nan), axis=1)
        residual -= zero_points[:, np.newaxis]
        offset = _median(residual, axis=0)
        scatter = _SIGMA_OF_DEVIATION * _median(np.abs(residual - offset), axis=0)
        good = np.abs(offset) < MOST_OFF_MAG
    measured = np.isfinite(seen).sum(axis=0)
    if in_most_images:
        good &= measured >= LEAST_COVERAGE * len(images)
    score = np.hypot(scatter, _median(errors, axis=0))
    stars = np.flatnonzero(good & np.isfinite(score))
    return Ranking(
        order=stars[np.argsort(score[stars], kind="stable")],
        magnitudes=catalogued + np.nan_to_num(offset),
        scatter=scatter,
    )


def _table(images: Sequence[MeasuredStars], many: int) -> tuple[Numbers, Numbers]:
    """Return instrumental magnitudes and their errors, images by stars, NaN where not measured."""
    seen, errors = np.full((len(images), many), np.nan), np.full((len(images), many), np.nan)
    for row, image in enumerate(images):
        seen[row, image.stars] = -2.5 * np.log10(image.counts / image.exposure_s)
        errors[row, image.stars] = MAGNITUDE_OF_RELATIVE * image.error / image.counts
    return seen, errors


def _median(values: Numbers, axis: int) -> Numbers:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a star may be measured nowhere
        found: Numbers = np.nanmedian(values, axis=axis)
    return found
