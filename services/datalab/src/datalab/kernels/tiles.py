"""Parts of images that fit into the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

Tile = tuple[slice, slice]
"""Rows and columns."""


def tiles(shape: tuple[int, int], pixels: int) -> Iterator[Tile]:
    """Give the tiles of an image, of at most so many pixels: whole rows, if one fits."""
    height, width = shape
    columns = min(width, max(1, pixels))
    rows = max(1, pixels // max(1, columns))
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield slice(top, min(top + rows, height)), slice(left, min(left + columns, width))
