"""Light curves from the catalogues that came with the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from datalab.operations.operation import FileRef, OperationError, Work
from datalab.photometry.asking import Place
from datalab.photometry.exclusions import Exclusions
from datalab.photometry.exposures import Exposure
from datalab.photometry.matching import separation_arcsec
from datalab.photometry.reading import look_filtered, one_band, sources
from datalab.photometry.sources import Sources
from datalab.photometry.times import bjd_tdb

SAME_STAR_ARCSEC: Final = 4.0
_UNCALIBRATED: Final = "its magnitudes are not calibrated"


def catalog_curve(source: Place, files: Sequence[FileRef], work: Work) -> dict[str, Any]:
    """Return the magnitudes of the catalogued source nearest to a place, image by image, as JSON.

    Raises:
        OperationError: The images have several filters, or none shows the source.
    """
    rows: list[dict[str, Any]] = []
    bands: dict[str, str] = {}
    excluded = Exclusions()
    for done, ref in enumerate(files, 1):
        with excluded.without(ref.basename):
            path = work.path(ref)
            seen = look_filtered(path, ref.basename)
            bands[ref.basename] = seen.band
            rows.append(_row(seen, sources(path, seen), source))
        work.progress(0.9 * done / len(files))
    band = one_band(bands)
    if not rows:
        raise excluded.nothing_left("No image has calibrated photometry of this source")
    return {
        "source": source.model_dump(exclude_none=True),
        "target_coords": {"ra": source.ra, "dec": source.dec},
        "filter": band,
        "light_curve": sorted(rows, key=lambda row: float(row["julian_date"])),
        "flux_fallback": False,
        **excluded.shown(),
    }


def _row(seen: Exposure, found: Sources, source: Place) -> dict[str, Any]:
    if not len(found):
        raise OperationError("its catalogue is empty")
    apart = separation_arcsec(found.ra, found.dec, source.ra, source.dec)
    star = int(np.argmin(apart))
    if apart[star] > SAME_STAR_ARCSEC:
        raise OperationError(f'no source within {SAME_STAR_ARCSEC:g}" of the place')
    if not found.calibrated:
        raise OperationError(_UNCALIBRATED)
    if not (np.isfinite(found.mag[star]) and np.isfinite(found.magerr[star])):
        raise OperationError("the source has no magnitude, or none with an error")
    return {
        "basename": seen.basename,
        "mag": float(found.mag[star]),
        "magerr": float(found.magerr[star]),
        "julian_date": seen.julian_date,
        "bjd_tdb": bjd_tdb(seen.middle_mjd, source.ra, source.dec),
        "observation_date": seen.begun,
        "exposure_time": seen.exposure_s,
        "airmass": seen.airmass,
        "separation_arcsec": float(apart[star]),
        "ra": float(found.ra[star]),
        "dec": float(found.dec[star]),
        "flag": int(found.flag[star]),
    }
