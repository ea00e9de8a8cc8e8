"""Sources found in the pixels of an image that came without a catalogue."""

from __future__ import annotations

import warnings
from math import ceil
from typing import Final

import numpy as np
from astropy.stats import gaussian_sigma_to_fwhm, sigma_clipped_stats
from numpy.typing import NDArray
from photutils.detection import DAOStarFinder
from photutils.utils.exceptions import NoDetectionsWarning

from datalab.operations.operation import OperationError
from datalab.photometry.apertures import Radii, measure
from datalab.photometry.exposures import Exposure
from datalab.photometry.noise import Noise
from datalab.photometry.sources import Sources, magnitudes

THRESHOLD_SIGMAS: Final = 10.0
"""As BANZAI's own extraction has it."""
MOST_SOURCES: Final = 2000
_SAMPLE_PIXELS: Final = 400_000
_LEAST_FWHM_PX: Final = 2.0
_ROWS_AT_ONCE: Final = 128
_MARGIN_FWHM: Final = 4
"""How far beyond them is looked: farther than a star reaches."""


def detect(pixels: NDArray[np.float32], exposure: Exposure) -> Sources:
    """Find stars, the brightest ``MOST_SOURCES``, and measure them in apertures of 2.5 times their width.

    Raises:
        OperationError: There is nothing to see.
    """
    sample = pixels.ravel()[:: max(1, pixels.size // _SAMPLE_PIXELS)]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        raise OperationError("the image has no good pixels")
    _, median, deviation = sigma_clipped_stats(sample)
    if not deviation > 0:
        raise OperationError("the image is flat: no source can be told from the background")
    fwhm = max(exposure.fwhm_px, _LEAST_FWHM_PX)
    found = _found(pixels, float(median), THRESHOLD_SIGMAS * float(deviation), fwhm)
    if not len(found):
        raise OperationError("no sources were found in the image")
    return _measured(pixels, exposure, found[:, 0], found[:, 1], fwhm)


def _found(
    pixels: NDArray[np.float32], median: float, threshold: float, fwhm_px: float
) -> NDArray[np.float64]:
    """Return x, y and flux of the brightest stars; some rows are searched at a time, for they are copied."""
    finder = DAOStarFinder(threshold=threshold, fwhm=fwhm_px, exclude_border=True)
    margin = ceil(_MARGIN_FWHM * fwhm_px)
    stars = [np.empty((0, 3))]
    for start in range(0, len(pixels), _ROWS_AT_ONCE):
        first, stop = max(0, start - margin), start + _ROWS_AT_ONCE
        part = slice(first, stop + margin)
        light = pixels[part] - np.float32(median)
        bad = ~np.isfinite(light)
        light[bad] = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoDetectionsWarning)
            table = finder(light, mask=bad)
        if table is not None:
            here = np.column_stack([table["x_centroid"], table["y_centroid"] + first, table["flux"]])
            stars.append(here[(here[:, 1] >= start - 0.5) & (here[:, 1] < stop - 0.5)])
    found = np.concatenate(stars)
    return found[np.argsort(-found[:, 2], kind="stable")][:MOST_SOURCES]


def _measured(
    pixels: NDArray[np.float32],
    exposure: Exposure,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    fwhm_px: float,
) -> Sources:
    radius = 2.5 * fwhm_px
    stars = measure(
        pixels,
        None,
        x,
        y,
        Radii(radius, 1.5 * radius, 2.5 * radius),
        Noise.of(exposure),
        window_sigma_px=fwhm_px / float(gaussian_sigma_to_fwhm),
        most_shift_px=fwhm_px,
    )
    ra, dec = exposure.sky(stars.x, stars.y)
    mag, magerr = magnitudes(stars.counts / exposure.exposure_s, stars.error / exposure.exposure_s)
    good = np.isfinite(stars.counts) & (stars.counts > 0)
    found = Sources(
        x=stars.x,
        y=stars.y,
        ra=ra,
        dec=dec,
        flux=stars.counts,
        fluxerr=stars.error,
        mag=mag + (exposure.zero_point or 0.0),
        magerr=magerr,
        peak=stars.peak,
        flag=np.zeros(len(x), np.int64),
        calibrated=exposure.zero_point is not None,
    )[good]
    return found[np.argsort(-found.flux, kind="stable")]
