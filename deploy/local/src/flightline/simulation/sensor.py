"""What lens and sensor add to a picture: blur, vignetting, exposure, white balance, noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from flightline.simulation.canvas import Bytes, Floats32

_BLUR_SIGMA_PX = 0.5
_VIGNETTING = 0.22
"""Light lost in the corners."""


@dataclass(frozen=True, slots=True)
class Development:
    """How one photo came out."""

    gains: tuple[float, float, float]
    """RGB: exposure times white balance."""
    noise_sigma: float
    """In grey levels of 255, at mid grey."""


def draw_development(rng: np.random.Generator, noise_sigma: float = 2.0) -> Development:
    """Draw exposure (±8 %) and white balance (±2 %) as an automatic camera has them."""
    red, green, blue = np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.02, 3)).tolist()
    return Development((red, green, blue), noise_sigma)


def expose(colors: Bytes, development: Development, rng: np.random.Generator) -> Bytes:
    """Return the photo (height, width, 3) that a sensor makes of the ideal ``colors``."""
    picture = np.asarray(cv2.GaussianBlur(colors, (0, 0), _BLUR_SIGMA_PX), np.float32)
    picture *= _falloff(*colors.shape[:2])[..., None]
    picture *= np.array(development.gains, np.float32)
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    noise *= np.sqrt(picture + 16) * np.float32(development.noise_sigma / 12)
    picture += noise
    return picture.clip(0, 255).astype(np.uint8)


def _falloff(height: int, width: int) -> Floats32:
    """Return the light that reaches each pixel, 1 in the centre."""
    column = np.linspace(-1, 1, width, dtype=np.float32)
    row = np.linspace(-1, 1, height, dtype=np.float32) * np.float32(height / width)
    square = column[None, :] ** 2 + row[:, None] ** 2
    return np.asarray(1 - np.float32(_VIGNETTING) * square / square[0, 0])
