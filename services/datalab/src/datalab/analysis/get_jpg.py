"""An image as JPEG, between two levels."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from datalab.fits.reader import read_frame
from datalab.operations.operation import OperationError
from datalab.pictures.encoding import grey_jpeg
from datalab.pictures.stretching import Levels, levels, sampled

Level = Annotated[float, Field(allow_inf_nan=False, ge=-1e30, le=1e30)]


class GetJpgAsk(BaseModel):
    """What is black and what is white; of itself when not given."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    basename: str
    zmin: Level | None = None
    zmax: Level | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.zmin is not None and self.zmax is not None and self.zmin >= self.zmax:
            raise ValueError("zmin must be less than zmax")
        return self


ASK = GetJpgAsk


def answer(path: Path, ask: GetJpgAsk) -> dict[str, Any]:
    """Return a JPEG in base64.

    Raises:
        OperationError: The file is no image, or its own level is beyond the one that is given.
    """
    pixels = read_frame(path, name=ask.basename).pixels
    own = levels(sampled(pixels))
    zmin = own.zmin if ask.zmin is None else ask.zmin
    zmax = own.zmax if ask.zmax is None else ask.zmax
    if zmin >= zmax:
        raise OperationError(
            f"zmin must be less than zmax; this image's own are {own.zmin:g} and {own.zmax:g}"
        )
    return {"jpg_base64": base64.b64encode(grey_jpeg(pixels, Levels(zmin, zmax))).decode()}
