"""How sure a sum of pixels is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datalab.photometry.exposures import Exposure, Numbers

DIGITISATION = 0.289
"""Standard deviation that whole counts bring, in counts (1 over the root of 12)."""


@dataclass(frozen=True)
class Noise:
    """What makes noise in a pixel: photons, dark current, reading, whole counts (Merline & Howell 1995)."""

    gain: float
    read_noise: float
    dark: float

    @classmethod
    def of(cls, exposure: Exposure) -> Noise:
        """Return the noise of an exposure's detector."""
        return cls(exposure.gain, exposure.read_noise, exposure.dark)

    def of_sum(
        self, counts: Numbers, pixels: Numbers, background: Numbers, background_pixels: Numbers
    ) -> Numbers:
        """Return the standard deviation of ``counts`` above the background, in counts.

        Args:
            counts: Of the star alone.
            pixels: Of the aperture.
            background: Mean of a pixel around it, in counts.
            background_pixels: From how many pixels that mean is.
        """
        of_pixel = (
            np.maximum(background, 0) * self.gain
            + self.dark
            + self.read_noise**2
            + (DIGITISATION * self.gain) ** 2
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = pixels * (1 + pixels / background_pixels)
        variance = np.maximum(counts, 0) * self.gain + spread * of_pixel
        error: Numbers = np.sqrt(variance) / self.gain
        return error
