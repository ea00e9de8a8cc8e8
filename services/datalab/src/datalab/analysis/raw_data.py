"""Pixels of an image for a browser that stretches it itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from datalab.fits.reader import read_frame
from datalab.pictures.browser import browser_image

MOST_PX = 800
"""Of a side: an answer travels as a whole, and has some ten bytes a pixel."""


class RawDataAsk(BaseModel):
    """How large the square of pixels is to be."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    basename: str
    max_size: int = Field(default=500, ge=1, le=MOST_PX)


ASK = RawDataAsk


def answer(path: Path, ask: RawDataAsk) -> dict[str, Any]:
    """Return pixels, levels and a histogram.

    Raises:
        OperationError: The file is no image.
    """
    frame = read_frame(path, name=ask.basename)
    saturation = frame.header.get("SATURATE")
    found = browser_image(
        frame.pixels,
        frame.mask,
        side_px=ask.max_size,
        saturation=float(saturation) if isinstance(saturation, int | float) and saturation > 0 else None,
    )
    return {**found, "bitdepth": frame.pixels.dtype.itemsize * 8}
