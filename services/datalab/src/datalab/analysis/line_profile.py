"""The brightness along a line through an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from datalab.analysis.display import Coordinate, DisplayedAsk
from datalab.fits.reader import FrameReader
from datalab.operations.operation import OperationError
from datalab.photometry.exposures import celestial, number, to_sky

MOST_POINTS: Final = 50_000


class LineProfileAsk(DisplayedAsk):
    """From where to where, in the display."""

    x1: Coordinate
    y1: Coordinate
    x2: Coordinate
    y2: Coordinate


ASK = LineProfileAsk


def answer(path: Path, ask: LineProfileAsk) -> dict[str, Any]:
    """Return the pixels along the line, and where in the sky it is.

    Without a WCS only its length is told, if the header has the size of a pixel (PIXSCALE).

    Raises:
        OperationError: The file is no image, or the line has no length.
    """
    with FrameReader(path, ask.basename) as reader:
        start, end = ask.to_image(ask.x1, ask.y1, reader.shape), ask.to_image(ask.x2, ask.y2, reader.shape)
        length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
        if not 0 < length <= MOST_POINTS:
            raise OperationError("the line has no length, or leads far out of the image")
        values = _along(reader, start, end, int(np.ceil(length)) + 1)
        header = reader.header
    return {
        "line_profile": [float(value) if np.isfinite(value) else None for value in values],
        **_on_sky(header, start, end, length),
    }


def _along(
    reader: FrameReader, start: tuple[float, float], end: tuple[float, float], many: int
) -> NDArray[np.float64]:
    """Return values between pixels by linear interpolation, NaN beyond the image."""
    x, y = np.linspace(start[0], end[0], many), np.linspace(start[1], end[1], many)
    height, width = reader.shape
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)  # noqa: PLR2004 - half a pixel
    values = np.full(many, np.nan)
    if not inside.any():
        return values
    x, y = np.clip(x[inside], 0, width - 1), np.clip(y[inside], 0, height - 1)
    lowest = int(np.floor(y.min()))
    rows = reader.rows(lowest, min(height, int(np.floor(y.max())) + 2))
    left, low = np.floor(x).astype(int), np.floor(y).astype(int) - lowest
    right, high = np.minimum(left + 1, width - 1), np.minimum(low + 1, len(rows) - 1)
    across, up = x - left, y - lowest - low
    bottom = _between(rows[low, left], rows[low, right], across)
    top = _between(rows[high, left], rows[high, right], across)
    values[inside] = _between(bottom, top, up)
    return values


def _between(first: NDArray[Any], second: NDArray[Any], part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what lies between two values; a NaN of which no part is wanted does no harm."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    mixed: NDArray[np.float64] = np.where(part > 0, first + (second - first) * part, first)
    return mixed


def _on_sky(
    header: Any, start: tuple[float, float], end: tuple[float, float], length: float
) -> dict[str, Any]:
    try:
        wcs = celestial(header)
    except OperationError:
        scale = number(header.get("PIXSCALE"))
        arcsec = length * scale if scale else None
        return {"arcsec": arcsec, "start_coords": None, "end_coords": None, "position_angle": None}
    ra, dec = to_sky(wcs, [start[0], end[0]], [start[1], end[1]])
    first, last = SkyCoord(ra, dec, unit="deg")
    return {
        "arcsec": float(first.separation(last).arcsec),
        "start_coords": [float(ra[0]), float(dec[0])],
        "end_coords": [float(ra[1]), float(dec[1])],
        "position_angle": float(first.position_angle(last).deg),
    }
