"""Exposures, their catalogues and their pixels, from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io.fits import Header
from numpy.typing import NDArray

from datalab.fits.reader import FrameReader
from datalab.fits.series import whole
from datalab.operations.operation import OperationError
from datalab.photometry.catalog_columns import read_columns
from datalab.photometry.exposures import Exposure, exposure
from datalab.photometry.sources import Sources, from_catalog


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

    return detect(pixels_of(path, seen.basename)[0], seen)


def pixels_of(path: Path, basename: str) -> tuple[NDArray[np.float32], Header]:
    """Return an image, NaN where it is bad, and its header.

    Raises:
        OperationError: It cannot be read.
    """
    with FrameReader(path, basename) as reader:
        return whole(reader), reader.header


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
