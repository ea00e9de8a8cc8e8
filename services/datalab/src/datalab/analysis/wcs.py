"""How an image's pixels are on the sky."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from datalab.fits.reader import FrameReader
from datalab.photometry.exposures import celestial


class WcsAsk(BaseModel):
    """Which file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    basename: str


ASK = WcsAsk


def answer(path: Path, ask: WcsAsk) -> dict[str, Any]:
    """Return the linear part of the WCS, and the image's height and width.

    Raises:
        OperationError: The file is no image, or its header has no solution.
    """
    with FrameReader(path, ask.basename) as reader:
        found, shape = celestial(reader.header), reader.shape
    matrix = found.pixel_scale_matrix
    return {
        "crval": [float(value) for value in found.wcs.crval],
        "crpix": [float(value) for value in found.wcs.crpix],
        "cd1": [float(value) for value in matrix[0]],
        "cd2": [float(value) for value in matrix[1]],
        "fits_dimensions": list(shape),
    }
