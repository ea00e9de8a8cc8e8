"""Images in colours, added up as light is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datalab.pictures.stretching import GAMMA, Levels, shade_table, steps_of

_WHITE: Final = 65535


class Light(NamedTuple):
    """Rows of an image, and the colour that they shine in."""

    pixels: NDArray[Any]
    levels: Levels
    rgb: tuple[float, float, float]
    """Each part 0 to 1."""


class Blend:
    """Adds light."""

    def __init__(self) -> None:
        """Know the shades of grey."""
        self._table = shade_table(np.uint16, GAMMA).astype(np.float32)

    def of(self, lights: Iterable[Light], shape: tuple[int, int]) -> NDArray[np.uint16]:
        """Return the sum of lights: rows, the last of them first, columns, and red, green and blue."""
        sums: list[NDArray[np.float32] | None] = [None, None, None]
        for pixels, levels, rgb in lights:
            grey = self._table.take(steps_of(pixels, levels, self._table.size))
            for channel, part in enumerate(rgb):
                if part:
                    light = grey * np.float32(part)
                    there = sums[channel]
                    sums[channel] = light if there is None else np.add(there, light, out=light)
        shades = np.zeros((*shape, len(sums)), np.uint16)
        for channel, found in enumerate(sums):
            if found is not None:
                np.add(found, np.float32(0.5), out=found)
                shades[..., channel] = np.minimum(found, np.float32(_WHITE), out=found)[::-1]
        return shades
