"""The sources of an image: of the catalogue that came with it, or found in its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datalab.operations.operation import OperationError
from datalab.photometry.exposures import Exposure, Numbers

MAGNITUDE_OF_RELATIVE = 2.5 / np.log(10)
"""The magnitudes that a small relative change of flux is."""


@dataclass(frozen=True)
class Sources:
    """Sources by decreasing flux; all arrays have one value for each, NaN where unknown."""

    x: Numbers
    """Windowed position in pixels from 0."""
    y: Numbers
    ra: Numbers
    dec: Numbers
    flux: Numbers
    """Counts."""
    fluxerr: Numbers
    mag: Numbers
    magerr: Numbers
    peak: Numbers
    flag: NDArray[np.int64]
    calibrated: bool
    """Whether magnitudes are of a photometric system; otherwise they only compare within one instrument."""

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, which: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Sources:
        arrays: dict[str, Any] = {
            name: value[which] for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return replace(self, **arrays)


def from_catalog(table: Mapping[str, Numbers], exposure: Exposure) -> Sources:
    """Return the sources of a catalogue with BANZAI's columns.

    Places in the sky come from its ``ra`` and ``dec``, or from the image's WCS; magnitudes from its ``mag``,
    or from its fluxes and the header's zero point.

    Raises:
        OperationError: It has no positions or fluxes.
    """
    x, y = _column(table, "xwin", "x"), _column(table, "ywin", "y")
    flux, fluxerr = _column(table, "flux", "fluxaper6"), _column(table, "fluxerr", "fluxerr6")
    if x is None or y is None or flux is None:
        raise OperationError("the catalogue lacks positions or fluxes")
    x, y = x - 1, y - 1
    unknown = np.full(len(x), np.nan)
    fluxerr = unknown if fluxerr is None else fluxerr
    ra, dec = _column(table, "ra"), _column(table, "dec")
    if ra is None or dec is None:
        ra, dec = exposure.sky(x, y) if len(x) else (unknown, unknown)
    mag, magerr, calibrated = _magnitudes(table, flux, fluxerr, exposure)
    peak, flag = _column(table, "peak"), _column(table, "flag")
    found = Sources(
        x=x,
        y=y,
        ra=ra,
        dec=dec,
        flux=flux,
        fluxerr=fluxerr,
        mag=mag,
        magerr=magerr,
        peak=unknown if peak is None else peak,
        flag=np.zeros(len(x), np.int64) if flag is None else np.nan_to_num(flag, nan=1).astype(np.int64),
        calibrated=calibrated,
    )
    known = np.isfinite(found.ra) & np.isfinite(found.dec) & np.isfinite(found.flux)
    return _sorted(found[known])


def _sorted(sources: Sources) -> Sources:
    return sources[np.argsort(-sources.flux, kind="stable")]


def _column(table: Mapping[str, Numbers], *names: str) -> Numbers | None:
    for name in names:
        if name in table:
            return table[name]
    return None


def _magnitudes(
    table: Mapping[str, Numbers], flux: Numbers, fluxerr: Numbers, exposure: Exposure
) -> tuple[Numbers, Numbers, bool]:
    mag, magerr = _column(table, "mag"), _column(table, "magerr")
    if mag is not None and np.isfinite(mag).any():
        return mag, np.full(len(mag), np.nan) if magerr is None else magerr, True
    mag, magerr = magnitudes(flux / exposure.exposure_s, fluxerr / exposure.exposure_s)
    return mag + (exposure.zero_point or 0.0), magerr, exposure.zero_point is not None


def magnitudes(flux: Numbers, fluxerr: Numbers) -> tuple[Numbers, Numbers]:
    """Return magnitudes of fluxes and their errors, for zero point 0; NaN where there is no light."""
    bright = np.where(flux > 0, flux, np.nan)
    return -2.5 * np.log10(bright), MAGNITUDE_OF_RELATIVE * fluxerr / bright
