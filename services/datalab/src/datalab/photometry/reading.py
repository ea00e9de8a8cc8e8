"""Exposures, their catalogues and their pixels, from files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from astropy.io.fits import Header
from numpy.typing import NDArray

from datalab.fits.reader import FrameReader
from datalab.operations.operation import OperationError
from datalab.photometry.catalog_columns import read_columns
from datalab.photometry.exposures import Exposure, exposure
from datalab.photometry.sources import Sources, from_catalog

ROWS_AT_ONCE: Final = 256


def look(path: Path, basename: str) -> Exposure:
    """Return what the header of a file says of its exposure; no pixel is read.

    Raises:
        OperationError: It cannot be used; the message says why.
    """
    with FrameReader(path, basename) as reader:
        return exposure(basename, reader.header, reader.shape)


def look_filtered(path: Path, basename: str) -> Exposure:
    """Return what the header says, of an exposure through a filter that it names.

    Raises:
        OperationError: It cannot be used; the message says why.
    """
    seen = look(path, basename)
    if not seen.band:
        raise OperationError("the header does not name the filter (FILTER)")
    return seen


def sources(path: Path, seen: Exposure) -> Sources:
    """Return the sources of a file's catalogue, or those found in its pixels if it has none.

    Raises:
        OperationError: There are none.
    """
    columns = read_columns(path, seen.basename)
    if columns is not None and any(len(values) for values in columns.values()):
        return from_catalog(columns, seen)
    from datalab.photometry.detection import detect  # noqa: PLC0415 - photutils is slow to import, and rarely used

    values, bad, _ = pixels_of(path, seen.basename)
    return detect(values, bad, seen)


def pixels_of(path: Path, basename: str) -> tuple[NDArray[np.float32], NDArray[np.bool_], Header]:
    """Return an image, which of its pixels are bad, and its header.

    It is unpacked some rows at a time: whole numbers, marks and tiles of all rows at once would take several
    times the image's own memory.

    Raises:
        OperationError: It cannot be read.
    """
    with FrameReader(path, basename) as reader:
        values, bad = np.empty(reader.shape, np.float32), np.empty(reader.shape, np.bool_)
        step = -(-ROWS_AT_ONCE // reader.tile_rows) * reader.tile_rows
        for start in range(0, reader.shape[0], step):
            stop = min(start + step, reader.shape[0])
            values[start:stop] = reader.rows(start, stop)
            np.logical_not(np.isfinite(values[start:stop]), out=bad[start:stop])
            if (marks := reader.bad(start, stop)) is not None:
                bad[start:stop] |= marks
        return values, bad, reader.header


def one_band(bands: dict[str, str]) -> str:
    """Return the filter of all images.

    Args:
        bands: The filter of each image by its basename.

    Raises:
        OperationError: They have several.
    """
    found = sorted(set(bands.values()))
    if len(found) > 1:
        examples = {band: next(name for name, other in bands.items() if other == band) for band in found}
        said = ", ".join(f"{band} ({name})" for band, name in examples.items())
        raise OperationError(f"All images must be through the same filter; these are through {said}.")
    return found[0] if found else ""
