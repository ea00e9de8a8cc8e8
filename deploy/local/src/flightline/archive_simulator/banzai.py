"""Files of exposures as BANZAI, the pipeline of the real archive, writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from flightline.archive_simulator.star_fields import Field, within

_DETECTED_SNR = 10.0


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
    if field.mover and within(field.mover["x"], field.mover["y"], field.pixels.shape):
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
