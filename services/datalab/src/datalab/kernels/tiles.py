"""Parts of images that fit into the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from numpy.typing import NDArray

Tile = tuple[slice, slice]
"""Rows and columns."""


class Rows(Protocol):
    """An image of which rows can be had: an array, or one that is elsewhere."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return how many rows and columns it has."""

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return some rows."""


def tiles(shape: tuple[int, int], pixels: int) -> Iterator[Tile]:
    """Give the tiles of an image, of at most so many pixels: whole rows, if one fits."""
    height, width = shape
    columns = min(width, max(1, pixels))
    rows = max(1, pixels // max(1, columns))
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield slice(top, min(top + rows, height)), slice(left, min(left + columns, width))
