"""Places in a displayed image, and in the image itself.

Displays count from the left edge and from the bottom edge, images from the middle of the lowest left pixel.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LONGEST_SIDE_PX = 100_000
Side = Annotated[float, Field(gt=0, le=LONGEST_SIDE_PX, allow_inf_nan=False)]
Coordinate = Annotated[float, Field(ge=-LONGEST_SIDE_PX, le=LONGEST_SIDE_PX, allow_inf_nan=False)]


class DisplayedAsk(BaseModel):
    """Which file, and how large it is displayed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    basename: str
    height: Side
    width: Side

    def to_image(self, x: float, y: float, shape: tuple[int, int]) -> tuple[float, float]:
        """Return pixels from 0 of a place in the display."""
        return x / self.width * shape[1] - 0.5, y / self.height * shape[0] - 0.5

    def to_display(self, x: float, y: float, shape: tuple[int, int]) -> tuple[float, float]:
        """Return where pixels from 0 are displayed."""
        return (x + 0.5) / shape[1] * self.width, (y + 0.5) / shape[0] * self.height
