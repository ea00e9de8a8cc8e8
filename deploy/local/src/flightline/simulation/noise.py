"""Random fields without repetition, made by enlarging small grids of random numbers."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray


def value_noise(
    rng: np.random.Generator, shape: tuple[int, int], wavelength_px: float
) -> NDArray[np.float32]:
    """Return a ``shape`` field of about unit variance whose bumps are ``wavelength_px`` apart (>= 1)."""
    rows, columns = (int(np.ceil(side / wavelength_px)) + 3 for side in shape)
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    if wavelength_px <= 1:
        return grid[: shape[0], : shape[1]]
    offset = rng.random(2) + 0.5
    shrink = 1 / wavelength_px
    to_grid = np.array([[shrink, 0, offset[0]], [0, shrink, offset[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    field = cv2.warpAffine(grid, to_grid, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(field * np.float32(1.5), np.float32)


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], amplitudes: Mapping[float, float]
) -> NDArray[np.float32]:
    """Return the sum of value noises; ``amplitudes`` maps a wavelength in pixels to a standard deviation."""
    total = np.zeros(shape, np.float32)
    for wavelength_px, amplitude in amplitudes.items():
        cv2.scaleAdd(value_noise(rng, shape, wavelength_px), amplitude, total, total)
    return total
