"""Synthetic skies whose truth is known, and files of them as BANZAI writes them.

The sky (positions, magnitudes) depends on ``seed``; the noise on ``seed`` and ``exposure``. So frames of one
seed with other exposures, pointings, bands and times show the same stars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from astropy.wcs import WCS
from numpy.typing import NDArray

from tests.support.synthetic_sky import ZERO_POINT, Moving, Variable, electrons, render, sky, tan

__all__ = ["Field", "Moving", "Variable", "catalog", "star_field", "write_banzai", "write_series"]

CENTRE_DEG = (150.0, 2.2)
TAKEN_AT = datetime(2024, 3, 1, 4, 0, tzinfo=UTC)
SATURATION = 120_000.0
HOT = 50_000.0
EPOCH_MJD = 60_000.0
"""When a variable star's sine begins."""
_DETECTED_SNR = 10.0
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
        stars: How many there are within a square of the frame's longer side around ``centre``.
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
    truth = sky(seed, stars, max(shape), centre, pixel_scale_arcsec, magnitudes, separation_px)
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
    truth["inside"] = _within(truth["x"], truth["y"], shape)


def _within(x: Any, y: Any, shape: tuple[int, int]) -> Any:
    return (x > -0.5) & (x < shape[1] - 0.5) & (y > -0.5) & (y < shape[0] - 0.5)


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
        "CAT-RA": _sexagesimal(centre[0] / 15),
        "CAT-DEC": _sexagesimal(centre[1]),
    }


def _sexagesimal(value: float) -> str:
    whole = round(abs(value) * 3600, 4)
    return (
        f"{'-' if value < 0 else ''}{int(whole // 3600):02d}:{int(whole // 60 % 60):02d}:{whole % 60:07.4f}"
    )


def catalog(field: Field, seed: int = 0) -> Table:
    """Return what BANZAI's source extraction would have said: columns, units, pixels from 1."""
    header = field.header
    scale = header["PIXSCALE"]
    sigma = header["L1FWHM"] / scale / 2.3548
    x, y, flux = _lights(field)
    area = np.pi * (2.5 * sigma * 2) ** 2
    fluxerr = np.sqrt(flux + area * (header["L1MEDIAN"] + header["RDNOISE"] ** 2))
    seen = flux > _DETECTED_SNR * fluxerr
    x, y, flux, fluxerr = x[seen], y[seen], flux[seen], fluxerr[seen]
    rng = np.random.default_rng([seed, len(flux), 2])
    measured = flux + fluxerr * rng.standard_normal(len(flux))
    xwin = x + 1 + sigma * fluxerr / flux * rng.standard_normal(len(flux))
    ywin = y + 1 + sigma * fluxerr / flux * rng.standard_normal(len(flux))
    table = Table({"x": xwin, "y": ywin, "xwin": xwin, "ywin": ywin})
    table["xpeak"], table["ypeak"] = np.rint(xwin).astype(int), np.rint(ywin).astype(int)
    table["flux"], table["fluxerr"] = measured, fluxerr
    table["peak"] = flux / (2 * np.pi * sigma**2)
    for diameter in range(1, 7):
        table[f"fluxaper{diameter}"] = measured * (1 - np.exp(-((diameter / 2 / scale / sigma) ** 2) / 2))
        table[f"fluxerr{diameter}"] = fluxerr
    _shapes(table, sigma, float(header["L1MEDIAN"]))
    if "CRVAL1" in header:
        table["ra"], table["dec"] = WCS(header).all_pix2world(xwin, ywin, 1)
    if "CRVAL1" in header and "L1ZP" in header and "EXPTIME" in header:
        table["mag"] = header["L1ZP"] - 2.5 * np.log10(measured / header["EXPTIME"])
        table["magerr"] = 2.5 / np.log(10) * fluxerr / measured
    table.sort("flux", reverse=True)
    return table


def _lights(field: Field) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    stars = field.truth[field.truth["inside"]]
    lights = [(star["x"], star["y"], star["flux"]) for star in stars]
    if field.mover and _within(field.mover["x"], field.mover["y"], field.pixels.shape):
        lights.append((field.mover["x"], field.mover["y"], field.mover["flux"]))
    x, y, flux = np.array(lights, float).reshape(-1, 3).T
    return x, y, flux


def _shapes(table: Table, sigma: float, background: float) -> None:
    for name, value in (
        ("background", background),
        ("fwhm", 2.3548 * sigma),
        ("a", sigma),
        ("b", sigma),
        ("theta", 0.0),
        ("kronrad", 2.5),
        ("ellipticity", 0.0),
        ("fluxrad25", 0.7585 * sigma),
        ("fluxrad50", 1.1774 * sigma),
        ("fluxrad75", 1.6651 * sigma),
        ("x2", sigma**2),
        ("y2", sigma**2),
        ("xy", 0.0),
    ):
        table[name] = np.full(len(table), value)
    table["flag"] = np.zeros(len(table), np.int16)


def write_banzai(
    path: Path,
    field: Field,
    *,
    compress: Literal["rice", "gzip"] | None = "rice",
    dtype: Literal["float32", "uint16"] = "float32",
    cat: bool = True,
    bpm: bool = True,
    err: bool = True,
) -> Path:
    """Write a reduced frame: an empty primary, SCI, and CAT, BPM, ERR as asked.

    Rice is lossy on floats as BANZAI's is (quantised at 1/64 of the noise), and lossless on uint16; gzip is
    lossless. The catalogue's noise is of the exposure's time.
    """
    pixels = field.pixels
    if dtype == "uint16":
        pixels = np.clip(np.nan_to_num(np.rint(pixels)), 0, 65535).astype(np.uint16)
    units = [fits.PrimaryHDU(), _image("SCI", pixels, compress, field.header)]
    if cat:
        table = catalog(field, int(field.header["MJD-OBS"] * 1e5) % 2**31)
        units.append(fits.BinTableHDU(table, name="CAT"))
    if bpm:
        units.append(_image("BPM", field.bad.astype(np.uint8), compress))
    if err:
        units.append(_image("ERR", field.error, compress))
    fits.HDUList(units).writeto(path, overwrite=True)
    return path


def _image(
    name: str,
    pixels: NDArray[Any],
    compress: Literal["rice", "gzip"] | None,
    header: fits.Header | None = None,
) -> Any:
    if compress is None:
        return fits.ImageHDU(pixels, header, name=name)
    real = pixels.dtype.kind == "f"
    return fits.CompImageHDU(
        pixels,
        header,
        name=name,
        compression_type="RICE_1" if compress == "rice" else "GZIP_2",
        quantize_level=(64.0 if compress == "rice" else 0.0) if real else 16.0,
        dither_seed=1,
        quantize_method=1 if real and compress == "rice" else -1,
    )


def write_series(folder: Path, fields: Sequence[Field], stem: str = "frame", **how: Any) -> list[Path]:
    """Write exposures as ``stem-0000-e91.fits.fz`` and on."""
    return [
        write_banzai(folder / f"{stem}-{number:04d}-e91.fits.fz", field, **how)
        for number, field in enumerate(fields)
    ]
