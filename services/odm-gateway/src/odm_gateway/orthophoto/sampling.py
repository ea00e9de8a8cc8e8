"""Bilinear look-up in images and grids whose cells have their centres at half integers."""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Values = TypeVar("Values", np.uint8, np.float32)

_REMAP_ROWS: Final = 32_000
"""`cv2.remap` takes maps of fewer than 32 768 rows."""
_NO_SECOND_MAP: Final = cast("NDArray[np.float32]", None)
"""One map carries both coordinates; the stub does not know of this."""


def sample(image: NDArray[Values], where: NDArray[np.floating[Any]]) -> NDArray[Values]:
    """Return the values at ``(rows, columns, 2)`` positions x, y; beyond the edge the edge repeats."""
    places = where.astype(np.float32) - np.float32(0.5)
    parts = [
        cv2.remap(image, part, _NO_SECOND_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for part in np.array_split(places, len(places) // _REMAP_ROWS + 1)
    ]
    values = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return values.astype(image.dtype, copy=False)
