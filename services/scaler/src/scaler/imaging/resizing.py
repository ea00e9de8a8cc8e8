"""New pixels of old ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from scaler.domain.asks import Asks, Interpolation

_KERNELS: Final[Mapping[Interpolation, int]] = {
    Interpolation.LINEAR: cv2.INTER_LINEAR,
    Interpolation.CUBIC: cv2.INTER_CUBIC,
    Interpolation.LANCZOS4: cv2.INTER_LANCZOS4,
    Interpolation.AREA: cv2.INTER_AREA,
    Interpolation.NEAREST: cv2.INTER_NEAREST,
}
_MOST_CHANNELS: Final = 4
"""That OpenCV resizes at once with every kernel."""
_SKIPS_PIXELS_BELOW: Final = 0.5


def kernel_of(asks: Asks) -> Interpolation:
    """Return what is used: what was asked for, unless that would leave pixels out.

    Linear, cubic and Lanczos look at a fixed number of neighbours. Below one half they skip pixels between
    them, which shows as moiré; there the mean of the area is taken. Nearest is for label images and stays.
    """
    smooth = asks.interpolation not in (Interpolation.AREA, Interpolation.NEAREST)
    return Interpolation.AREA if smooth and asks.factor < _SKIPS_PIXELS_BELOW else asks.interpolation


def resized(pixels: NDArray[Any], size: tuple[int, int], kernel: Interpolation) -> NDArray[Any]:
    """Return ``pixels`` with the width and height of ``size``; channels are independent of each other."""
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    if pixels.ndim == 3 and pixels.shape[2] > _MOST_CHANNELS:  # noqa: PLR2004 - rows, columns, channels
        bands = [pixels[:, :, at : at + 1] for at in range(pixels.shape[2])]
        return np.dstack([resized(np.ascontiguousarray(band), size, kernel) for band in bands])
    return cv2.resize(pixels, size, interpolation=_KERNELS[kernel])
