"""Images in colours, added up as light is."""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datalab.pictures.stretching import GAMMA, Levels, shade_table, steps_of

_WHITE: Final = 65535
_CHUNK: Final = 1 << 20


class Blend:
    """A picture of 16 bits, to whose rows light is added."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """Begin with black."""
        self.shades = np.zeros((*shape, 3), np.uint16)
        """The first row at the top; blue, green, red."""
        self._table = shade_table(np.uint16, GAMMA)

    def add(self, rows: slice, pixels: NDArray[Any], levels: Levels, rgb: tuple[float, float, float]) -> None:
        """Add an image's rows, counted from its first, in a colour (each part 0 to 1)."""
        grey = self._table.take(steps_of(pixels, levels, self._table.size)).astype(np.float32)[::-1]
        height = len(self.shades)
        there = self.shades[height - rows.stop : height - rows.start]
        for channel, part in enumerate(reversed(rgb)):
            if part:
                light = grey * np.float32(part)
                light += there[..., channel]
                there[..., channel] = np.minimum(light, _WHITE, out=light) + np.float32(0.5)

    def eight_bits(self) -> NDArray[np.uint8]:
        """Return the picture as JPEG has it, in the same memory: it has no 16 bits any more."""
        parts = self.shades.reshape(-1).view(np.uint8)
        high = 1 if sys.byteorder == "little" else 0
        count = self.shades.size
        for start in range(0, count, _CHUNK):
            stop = min(start + _CHUNK, count)
            parts[start:stop] = parts[2 * start + high : 2 * stop : 2].copy()
        return parts[:count].reshape(self.shades.shape)
