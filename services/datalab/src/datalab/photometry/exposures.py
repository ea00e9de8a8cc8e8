"""What photometry needs to know of an exposure, from its header."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from astropy.io.fits import Header
from astropy.time import Time
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_scales
from numpy.typing import ArrayLike, NDArray

from datalab.operations.operation import OperationError

Numbers = NDArray[np.float64]
_DAY_S = 86_400.0
_DEFAULT_FWHM_ARCSEC = 2.0
_LEAST_FWHM_PX, _MOST_FWHM_PX = 1.0, 50.0


@dataclass(frozen=True)
class Exposure:
    """One exposure: when, through which filter, with which detector, and where in the sky."""

    basename: str
    header: Header
    shape: tuple[int, int]
    band: str
    """The filter; empty: the header names none."""
    begun: str
    """As the header has it (DATE-OBS)."""
    middle_mjd: float
    exposure_s: float
    gain: float
    """Electrons of one count."""
    read_noise: float
    dark: float
    """Electrons of a pixel in this exposure."""
    saturation: float
    """Counts from which on a pixel is not linear any more."""
    zero_point: float | None
    """The magnitude of one count a second, where the header says it."""
    airmass: float | None

    @cached_property
    def wcs(self) -> WCS:
        """Return how pixels are on the sky.

        Raises:
            OperationError: The header does not say.
        """
        return celestial(self.header)

    @property
    def julian_date(self) -> float:
        """Return the middle of the exposure, UTC."""
        return self.middle_mjd + 2_400_000.5

    @cached_property
    def pixel_scale_arcsec(self) -> float:
        """Return how much of the sky a pixel's side sees."""
        return float(np.sqrt(np.prod(proj_plane_pixel_scales(self.wcs)))) * 3600

    @property
    def fwhm_px(self) -> float:
        """Return how wide stars are, by the header or as usual, within what they can be."""
        seeing = number(self.header.get("L1FWHM"))
        fwhm = (seeing if seeing and seeing > 0 else _DEFAULT_FWHM_ARCSEC) / self.pixel_scale_arcsec
        return min(max(fwhm, _LEAST_FWHM_PX), _MOST_FWHM_PX)

    def pixels(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Numbers, Numbers]:
        """Return where places of the sky are, in pixels from 0; NaN where they cannot be."""
        return to_pixels(self.wcs, ra, dec)

    def sky(self, x: ArrayLike, y: ArrayLike) -> tuple[Numbers, Numbers]:
        """Return right ascension and declination of pixels from 0, in degrees."""
        return to_sky(self.wcs, x, y)


def exposure(basename: str, header: Header, shape: tuple[int, int]) -> Exposure:
    """Return what a header says of its exposure.

    Raises:
        OperationError: It does not say when, or how long.
    """
    exposure_s = number(header.get("EXPTIME"))
    if exposure_s is None or exposure_s <= 0:
        raise OperationError("the header has no exposure time (EXPTIME)")
    begun = _begun(header)
    return Exposure(
        basename=basename,
        header=header,
        shape=shape,
        band=str(header.get("FILTER", "")).strip(),
        begun=begun.isot,
        middle_mjd=float(begun.mjd) + exposure_s / _DAY_S / 2,
        exposure_s=exposure_s,
        gain=_positive(header, 1.0, "GAIN"),
        read_noise=_positive(header, 0.0, "RDNOISE", "RDNOISE1"),
        dark=_positive(header, 0.0, "DARKCURR") * exposure_s,
        saturation=_positive(header, math.inf, "MAXLIN", "SATURATE"),
        zero_point=number(header.get("L1ZP")),
        airmass=number(header.get("AIRMASS")),
    )


def number(value: Any) -> float | None:
    """Return what a header or table has as a finite number, or None."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def celestial(header: Header) -> WCS:
    """Return how an image's pixels are on the sky.

    Raises:
        OperationError: There is no solution.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            found = WCS(header)
            found.wcs.set()
    except Exception as error:  # wcslib has many errors, of which all are the header's
        raise OperationError("the header's WCS cannot be read") from error
    if not found.has_celestial or (number(header.get("WCSERR")) or 0) > 0:
        raise OperationError("the header has no WCS solution")
    if not abs(np.linalg.det(found.celestial.pixel_scale_matrix)) > 0:
        raise OperationError("the header's WCS puts the whole image on a line")
    return found.celestial


def to_pixels(wcs: WCS, ra: ArrayLike, dec: ArrayLike) -> tuple[Numbers, Numbers]:
    """Return where places of the sky are, in pixels from 0; NaN where they cannot be."""
    with np.errstate(invalid="ignore"):
        x, y = wcs.all_world2pix(ra, dec, 0, quiet=True)
    return np.asarray(x, float), np.asarray(y, float)


def to_sky(wcs: WCS, x: ArrayLike, y: ArrayLike) -> tuple[Numbers, Numbers]:
    """Return right ascension (0 to 360) and declination of pixels from 0, in degrees."""
    ra, dec = wcs.all_pix2world(x, y, 0)
    return np.asarray(ra, float) % 360.0, np.asarray(dec, float)


def _begun(header: Header) -> Time:
    text = str(header.get("DATE-OBS", "")).strip()
    try:
        datetime.fromisoformat(text)
        return Time(text, format="isot", scale="utc")
    except ValueError:
        mjd = number(header.get("MJD-OBS"))
    if mjd is None:
        raise OperationError("the header does not say when the exposure began (DATE-OBS, MJD-OBS)")
    return Time(mjd, format="mjd", scale="utc")


def _positive(header: Header, default: float, *keys: str) -> float:
    for key in keys:
        if (found := number(header.get(key))) is not None and found > 0:
            return found
    return default
