"""Exposures of synthetic skies whose truth is known.

The sky (positions, magnitudes) depends on ``seed``; the noise on ``seed`` and ``exposure``. So frames of one
seed with other exposures, pointings, bands and times show the same stars.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from astropy.wcs import WCS
from numpy.typing import NDArray

from flightline.archive_simulator.sky import ZERO_POINT, Moving, Variable, electrons, render, sky, tan

__all__ = ["Field", "Moving", "Variable", "star_field", "within"]

CENTRE_DEG = (150.0, 2.2)
TAKEN_AT = datetime(2024, 3, 1, 4, 0, tzinfo=UTC)
SATURATION = 120_000.0
HOT = 50_000.0
EPOCH_MJD = 60_000.0
"""When a variable star's sine begins."""
_COLOURS = {"gp": 0.6, "rp": 0.0, "ip": -0.3, "zs": -0.45}
"""What a star of colour 1 is fainter in a band than in rp."""


@dataclass(frozen=True)
class Field:
    """One exposure, and what is true of it."""

    pixels: NDArray[np.float32]
    header: fits.Header
    truth: Table
    """``index, x, y`` (from 0), ``ra, dec, mag, flux`` (electrons), ``inside`` the frame."""
    bad: NDArray[np.bool_]
    error: NDArray[np.float32]
    mover: dict[str, float] | None = None
    """``x, y, ra, dec, mag, flux`` of what moves."""


def star_field(
    *,
    size: int | tuple[int, int] = 256,
    stars: int = 60,
    sky_px: int | None = None,
    seed: int = 0,
    exposure: int = 0,
    centre: tuple[float, float] = CENTRE_DEG,
    pointing: tuple[float, float] | None = None,
    pixel_scale_arcsec: float = 0.39,
    rotation_deg: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    background: float = 200.0,
    noise: float = 6.0,
    photon_noise: bool = True,
    seeing_px: float = 3.5,
    magnitudes: tuple[float, float] = (12.5, 18.0),
    separation_px: float = 10.0,
    hot_pixels: int = 0,
    nan_fraction: float = 0.0,
    band: str = "rp",
    date_obs: datetime = TAKEN_AT,
    exposure_s: float = 30.0,
    transparency: float = 1.0,
    variable: Variable | None = None,
    moving: Moving | None = None,
    wcs: bool = True,
    cards: dict[str, Any] | None = None,
) -> Field:
    """Make one exposure of a sky.

    Args:
        size: Of the frame in pixels, a side or (height, width).
        stars: How many there are within a square around ``centre``.
        sky_px: Its side; the frame's longer one when not given.
        seed: Of the sky.
        exposure: Of the noise, hot pixels and NaN.
        centre: Of the sky's stars, in degrees.
        pointing: CRVAL; ``centre`` when not given.
        pixel_scale_arcsec: Of one pixel.
        rotation_deg: Of the camera.
        shift: How far everything is moved in the frame by CRPIX, in pixels (x, y).
        background: Of the sky in electrons.
        noise: Of reading, in electrons.
        photon_noise: Whether star and sky light have noise of their own.
        seeing_px: Full width at half maximum.
        magnitudes: From the brightest star to the faintest.
        separation_px: That stars keep from each other, if there is room.
        hot_pixels: How many pixels are hot, and told as such in the bad pixel mask.
        nan_fraction: Of the pixels that are NaN.
        band: The filter.
        date_obs: When the exposure began.
        exposure_s: How long it took.
        transparency: Of the air; what reaches the camera.
        variable: Which star varies.
        moving: What moves.
        wcs: Whether the header says where the camera pointed.
        cards: More of the header; None takes a card away.
    """
    shape = (size, size) if isinstance(size, int) else size
    mjd = float(Time(date_obs).mjd)
    middle = mjd + exposure_s / 86400 / 2
    frame_wcs = tan(shape, pointing or centre, pixel_scale_arcsec, rotation_deg, shift)
    truth = sky(seed, stars, sky_px or max(shape), centre, pixel_scale_arcsec, magnitudes, separation_px)
    _seen(truth, band, middle, variable, exposure_s * transparency)
    _placed(truth, frame_wcs, shape)
    mover = _moved(moving, middle, frame_wcs, exposure_s, transparency) if moving else None
    lights = list(zip(truth["x"], truth["y"], truth["flux"], strict=True))
    if mover:
        lights.append((mover["x"], mover["y"], mover["flux"]))
    expected = render(shape, lights, seeing_px / 2.3548) + background
    error = np.sqrt(noise**2 + photon_noise * expected).astype(np.float32)
    rng = np.random.default_rng([seed, exposure, 1])
    pixels = (expected + error * rng.standard_normal(shape, np.float32)).astype(np.float32)
    bad = _spoilt(pixels, rng, hot_pixels, nan_fraction)
    header = _header(frame_wcs if wcs else None, band, date_obs, exposure_s, pixel_scale_arcsec)
    header.update(_measured(background, noise, seeing_px * pixel_scale_arcsec, transparency, centre))
    _change(header, cards or {})
    return Field(pixels, header, truth, bad, error, mover)


def _seen(truth: Table, band: str, mjd: float, variable: Variable | None, effective_s: float) -> None:
    truth["mag"] = truth["mag"] + truth["colour"] * _COLOURS.get(band, 0.0)
    if variable:
        phase = 2 * np.pi * (mjd - EPOCH_MJD) / variable.period_d
        truth["mag"][variable.index] += variable.amplitude * np.sin(phase)
    truth["flux"] = electrons(truth["mag"], effective_s)


def _placed(truth: Table, wcs: WCS, shape: tuple[int, int]) -> None:
    truth["x"], truth["y"] = wcs.all_world2pix(truth["ra"], truth["dec"], 0)
    truth["inside"] = within(truth["x"], truth["y"], shape)


def within(x: Any, y: Any, shape: tuple[int, int]) -> Any:
    """Return whether places are on a detector."""
    return (np.abs(x - (shape[1] - 1) / 2) < shape[1] / 2) & (np.abs(y - (shape[0] - 1) / 2) < shape[0] / 2)


def _spoilt(
    pixels: NDArray[np.float32], rng: np.random.Generator, hot_pixels: int, nan_fraction: float
) -> NDArray[np.bool_]:
    bad = np.zeros(pixels.shape, np.bool_)
    bad.flat[rng.choice(bad.size, hot_pixels, replace=False)] = True
    pixels[bad] = HOT
    pixels.flat[rng.choice(bad.size, round(nan_fraction * bad.size), replace=False)] = np.nan
    return bad


def _change(header: fits.Header, cards: dict[str, Any]) -> None:
    for key, value in cards.items():
        if value is None:
            header.remove(key, ignore_missing=True)
        else:
            header[key] = value


def _moved(moving: Moving, mjd: float, wcs: WCS, exposure_s: float, transparency: float) -> dict[str, float]:
    ra, dec = moving.at(mjd)
    x, y = wcs.all_world2pix(ra, dec, 0)
    flux = float(electrons(moving.magnitude, exposure_s)) * transparency
    return {
        "x": float(x),
        "y": float(y),
        "ra": float(ra),
        "dec": dec,
        "mag": moving.magnitude,
        "flux": flux,
    }


def _header(
    wcs: WCS | None, band: str, date_obs: datetime, exposure_s: float, scale_arcsec: float
) -> fits.Header:
    header = fits.Header()
    if wcs is not None:
        header.update(wcs.to_header())
        for name, value in zip(("CD1_1", "CD1_2", "CD2_1", "CD2_2"), wcs.wcs.cd.flat, strict=True):
            header[name] = value
        for name in ("PC1_1", "PC1_2", "PC2_1", "PC2_2", "CDELT1", "CDELT2"):
            header.remove(name, ignore_missing=True)
    header["FILTER"] = band
    header["EXPTIME"] = exposure_s
    header["DATE-OBS"] = date_obs.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    header["MJD-OBS"] = float(Time(date_obs).mjd)
    header["UTSTOP"] = (date_obs + timedelta(seconds=exposure_s)).strftime("%H:%M:%S.%f")[:-3]
    header["PIXSCALE"] = scale_arcsec
    header["WCSERR"] = 0 if wcs is not None else 4
    return header


def _measured(
    background: float,
    noise: float,
    fwhm_arcsec: float,
    transparency: float,
    centre: tuple[float, float],
) -> dict[str, Any]:
    return {
        "OBJECT": "synthetic",
        "INSTRUME": "fa00",
        "SITEID": "tst",
        "TELID": "1m0a",
        "RLEVEL": 91,
        "BUNIT": "electron",
        "GAIN": 1.0,
        "RDNOISE": noise,
        "DARKCURR": 0.0,
        "SATURATE": SATURATION,
        "MAXLIN": SATURATION,
        "AIRMASS": 1.2,
        "LATITUDE": 30.68,
        "LONGITUD": -104.015,
        "HEIGHT": 2070.0,
        "L1MEDIAN": background,
        "L1FWHM": fwhm_arcsec,
        "L1ZP": ZERO_POINT + 2.5 * float(np.log10(transparency)),
        "L1ZPERR": 0.01,
        "CAT-RA": sexagesimal(centre[0] / 15),
        "CAT-DEC": sexagesimal(centre[1]),
    }


def sexagesimal(value: float) -> str:
    """Return degrees or hours as headers have them."""
    whole = round(abs(value) * 3600, 4)
    return (
        f"{'-' if value < 0 else ''}{int(whole // 3600):02d}:{int(whole // 60 % 60):02d}:{whole % 60:07.4f}"
    )
