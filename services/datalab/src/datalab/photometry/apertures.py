"""The light of stars in circular apertures, above the background in rings around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datalab.photometry.exposures import Numbers
from datalab.photometry.noise import Noise
from datalab.photometry.pixel_loops import (
    BACKGROUND,
    BAD,
    CENTRED,
    COUNTS,
    PEAK,
    PIXELS,
    RING,
    X,
    Y,
    measured,
)


@dataclass(frozen=True)
class Radii:
    """Of an aperture and of the ring around it, in pixels."""

    aperture: float
    inner: float
    outer: float


@dataclass(frozen=True)
class Stars:
    """What apertures on an image gave; one value for each star, NaN where it could not be measured."""

    x: Numbers
    """Where the aperture was, in pixels from 0."""
    y: Numbers
    counts: Numbers
    """Above the background."""
    error: Numbers
    background: Numbers
    """Mean counts of a pixel in the ring."""
    peak: Numbers
    """The highest pixel of the aperture, background included."""
    pixels: Numbers
    background_pixels: Numbers
    bad_pixels: Numbers
    centred: NDArray[np.bool_]
    """Whether the aperture was put on the star's own centre; otherwise it is where it was asked for."""


def measure(
    pixels: NDArray[Any],
    bad: NDArray[np.bool_] | None,
    x: ArrayLike,
    y: ArrayLike,
    radii: Radii,
    noise: Noise,
    *,
    window_sigma_px: float = 0.0,
    most_shift_px: float = 0.0,
) -> Stars:
    """Measure stars of one image.

    Args:
        pixels: The image.
        bad: Its pixels that are not to be trusted besides those that are not finite; None: no others.
        x: Where the stars are expected, in pixels from 0.
        y: As ``x``.
        radii: Of apertures and rings.
        noise: Of the detector.
        window_sigma_px: Of the Gaussian window in which a star's centre is sought; 0: it is not.
        most_shift_px: How far that may lie from where it is expected.
    """
    values = np.ascontiguousarray(
        pixels, np.float32
    )  # one kind is compiled; none has more digits that matter
    if bad is not None:
        values = np.where(bad, np.float32(np.nan), values)
    table = measured(
        values,
        np.atleast_1d(np.asarray(x, np.float64)),
        np.atleast_1d(np.asarray(y, np.float64)),
        radii.aperture,
        radii.inner,
        radii.outer,
        window_sigma_px,
        most_shift_px,
    )
    counts, background = table[:, COUNTS], table[:, BACKGROUND]
    return Stars(
        x=table[:, X],
        y=table[:, Y],
        counts=counts,
        error=noise.of_sum(counts, table[:, PIXELS], background, table[:, RING]),
        background=background,
        peak=table[:, PEAK],
        pixels=table[:, PIXELS],
        background_pixels=table[:, RING],
        bad_pixels=table[:, BAD],
        centred=table[:, CENTRED] > 0,
    )
