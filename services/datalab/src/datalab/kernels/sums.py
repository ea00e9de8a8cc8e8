"""Sums of images that leave out what is NaN or bad, added up in place."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datalab.kernels.tiles import tiles

_TILE_PIXELS: Final = 1 << 15


def add(
    sums: NDArray[np.floating[Any]],
    image: NDArray[Any],
    *,
    mask: NDArray[np.bool_] | None = None,
    counts: NDArray[np.uint16] | None = None,
    weight: float = 1.0,
) -> None:
    """Add an image to ``sums``, pixel by pixel, except where it is NaN or bad.

    Args:
        sums: Changed in place.
        image: Of the same shape.
        mask: True where it is bad.
        counts: Of values added so far, changed in place, if wanted.
        weight: By which the image is multiplied.
    """
    for tile in tiles((sums.shape[0], sums.shape[1]), _TILE_PIXELS):
        part = image[tile]
        bad = np.isnan(part) if part.dtype.kind == "f" else None
        if mask is not None:
            bad = mask[tile] if bad is None else bad | mask[tile]
        if weight != 1:
            part = part * sums.dtype.type(weight)
        if bad is None or not bad.any():
            sums[tile] += part
        else:
            np.add(sums[tile], part, out=sums[tile], where=~bad)
        if counts is not None:
            counts[tile] += np.uint16(1) if bad is None else ~bad
