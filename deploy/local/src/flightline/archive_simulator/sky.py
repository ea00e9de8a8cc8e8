"""Stars of a synthetic sky: where they are, how bright, and what they look like on a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.special import erf

ZERO_POINT = 22.0
"""The magnitude of a star that gives one electron in a second, in any band."""
_WINDOW_SIGMAS = 6.0


@dataclass(frozen=True)
class Variable:
    """A star of the sky whose magnitude goes as a sine of ``amplitude`` around its mean."""

    index: int
    amplitude: float
    period_d: float


@dataclass(frozen=True)
class Moving:
    """Something that moves straight over the sky; where it is at ``mjd`` and how fast it goes."""

    ra: float
    dec: float
    mjd: float
    east_arcsec_per_hour: float = 30.0
    north_arcsec_per_hour: float = 0.0
    magnitude: float = 14.5

    def at(self, mjd: float) -> tuple[float, float]:
        """Return right ascension and declination at a time, in degrees."""
        degrees = (mjd - self.mjd) * 24 / 3600
        dec = self.dec + self.north_arcsec_per_hour * degrees
        return self.ra + self.east_arcsec_per_hour * degrees / np.cos(np.radians(self.dec)), dec


def electrons(magnitude: Any, exposure_s: float) -> Any:
    """Return what a star of a magnitude gives in an exposure."""
    return 10 ** (0.4 * (ZERO_POINT - magnitude)) * exposure_s


def render(
    shape: tuple[int, int], lights: Sequence[tuple[float, float, float]], sigma_px: float
) -> NDArray[np.float64]:
    """Return Gaussians (x, y, flux), integrated over each pixel, each drawn in a small window."""
    image = np.zeros(shape)
    reach = int(np.ceil(_WINDOW_SIGMAS * sigma_px)) + 1
    for x, y, flux in lights:
        left, bottom = max(0, round(x) - reach), max(0, round(y) - reach)
        right, top = min(shape[1], round(x) + reach + 1), min(shape[0], round(y) + reach + 1)
        if left < right and bottom < top:
            across = _parts(np.arange(left, right), x, sigma_px)
            image[bottom:top, left:right] += flux * np.outer(
                _parts(np.arange(bottom, top), y, sigma_px), across
            )
    return image


def _parts(pixels: NDArray[Any], at: float, sigma_px: float) -> NDArray[np.float64]:
    edges = np.append(pixels - 0.5, pixels[-1] + 0.5)
    parts: NDArray[np.float64] = np.diff(erf((edges - at) / (sigma_px * np.sqrt(2)))) / 2
    return parts


def tan(
    shape: tuple[int, int],
    pointing: tuple[float, float],
    scale_arcsec: float,
    rotation_deg: float,
    shift: tuple[float, float],
) -> WCS:
    """Return the gnomonic projection of a camera."""
    wcs = WCS(naxis=2)
    scale, angle = scale_arcsec / 3600, np.radians(rotation_deg)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = pointing
    wcs.wcs.crpix = [(shape[1] + 1) / 2 + shift[0], (shape[0] + 1) / 2 + shift[1]]
    wcs.wcs.cd = scale * np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs.wcs.set()
    return wcs


def sky(
    seed: int,
    stars: int,
    side: int,
    centre: tuple[float, float],
    scale_arcsec: float,
    magnitudes: tuple[float, float],
    separation_px: float,
) -> Table:
    """Return stars that depend on the seed only."""
    rng = np.random.default_rng([seed, 0])
    places = _apart(rng, stars, side, separation_px)
    plane = tan((side, side), centre, scale_arcsec, 0.0, (0.0, 0.0))
    ra, dec = plane.all_pix2world(places[:, 0], places[:, 1], 0) if stars else ([], [])
    return Table(
        {
            "index": np.arange(stars),
            "x": np.zeros(stars),
            "y": np.zeros(stars),
            "ra": np.asarray(ra, float),
            "dec": np.asarray(dec, float),
            "mag": rng.uniform(*magnitudes, stars),
            "colour": rng.uniform(0.2, 1.4, stars),
        }
    )


def _apart(rng: np.random.Generator, stars: int, side: int, separation_px: float) -> NDArray[np.float64]:
    margin = 0.04 * side
    places: NDArray[np.float64] = rng.uniform(margin, side - margin, (stars, 2))
    for index in range(1, stars):
        for _ in range(200):
            distances = np.hypot(*(places[:index] - places[index]).T)
            if distances.min() >= separation_px:
                break
            places[index] = rng.uniform(margin, side - margin, 2)
    return places
