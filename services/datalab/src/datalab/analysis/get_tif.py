"""An image as TIFF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from datalab.fits.reader import read_frame
from datalab.pictures.encoding import write_tiff
from datalab.pictures.stretching import levels, sampled, stretched


class GetTifAsk(BaseModel):
    """Nothing but the file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    basename: str


ASK = GetTifAsk


def answer(path: Path, ask: GetTifAsk, folder: Path) -> Path:
    """Write a TIFF of 16 bits, stretched as the preview is, into a folder.

    Raises:
        OperationError: The file is no image.
    """
    pixels = read_frame(path, name=ask.basename).pixels
    target = folder / "image.tif"
    write_tiff(stretched(pixels, levels(sampled(pixels)), np.uint16), target)
    return target
