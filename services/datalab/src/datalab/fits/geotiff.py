"""The first band of a GeoTIFF, such as a product of photogrammetry."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from datalab.fits.hdus import PIXELS_AT_MOST
from datalab.fits.tiff_layout import Layout, UnreadableTiffError, layout_of
from datalab.operations.operation import OperationError

MAGICS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BYTES_AT_MOST: Final = 2 << 30
_ROWS: Final = 256
_PIECE_BYTES_AT_MOST: Final = 256 << 20
"""Of what is unpacked at once."""


@dataclass(frozen=True, slots=True)
class Band:
    """A band that is read from its top to its bottom, some rows at a time."""

    name: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    _rows: Iterator[NDArray[Any]]
    _no_data: float | None

    def rows(self) -> Iterator[NDArray[Any]]:
        """Yield rows, all of them once; NaN stands for what is said to be no value.

        Raises:
            OperationError: It is damaged.
        """
        try:
            for rows in self._rows:
                if self._no_data is not None and self.dtype.kind == "f":
                    rows[rows == self.dtype.type(self._no_data)] = np.nan
                yield rows
        except UnreadableTiffError as error:
            raise OperationError(f"{self.name} is damaged or a TIFF of a kind that is not read") from error


@contextmanager
def first_band(path: Path, name: str) -> Iterator[Band]:
    """Open the first band.

    Raises:
        OperationError: It is damaged, of a kind that is not read, or too large.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            layout = layout_of(content)
        except UnreadableTiffError as error:
            raise OperationError(f"{name} is not a readable TIFF") from error
        pixels = layout.width * layout.height
        if not 0 < pixels <= PIXELS_AT_MOST:
            raise _too_large(name, layout)
        piece_bytes = layout.rows * layout.columns * layout.samples * layout.bits // 8
        if layout.can_be_read and piece_bytes <= _PIECE_BYTES_AT_MOST:
            rows, dtype = _pieces(content, layout), layout.dtype
        else:
            whole = _whole(content, layout, name)
            dtype = whole.dtype.newbyteorder("=")
            rows = (whole[top : top + _ROWS].astype(dtype) for top in range(0, len(whole), _ROWS))
        yield Band(name, (layout.height, layout.width), dtype, rows, layout.no_data)


def _pieces(content: mmap.mmap, layout: Layout) -> Iterator[NDArray[Any]]:
    for down in range(-(-layout.height // layout.rows)):
        rows = np.empty((layout.rows_of(down), layout.width), layout.dtype)
        for right in range(layout.across):
            part = rows[:, right * layout.columns : (right + 1) * layout.columns]
            part[:] = layout.piece(content, down, right)[: len(part), : part.shape[1]]
        yield rows


def _whole(content: mmap.mmap, layout: Layout, name: str) -> NDArray[Any]:
    """Return the band of a kind that a library has to read, with all others beside it."""
    if layout.width * layout.height * layout.samples * (layout.bits + 7) // 8 > _BYTES_AT_MOST:
        raise _too_large(name, layout)
    refused = OperationError(f"{name} is damaged or a TIFF of a kind that is not read")
    try:
        pixels = np.asarray(imagecodecs.tiff_decode(content, index=0))
    except (RuntimeError, ValueError) as error:
        raise refused from error
    shape = (layout.height, layout.width)
    if pixels.shape[:1] == (layout.samples,) and pixels.shape[1:] == shape:
        pixels = pixels[0]
    elif pixels.ndim > len(shape):
        pixels = pixels[..., 0]
    if pixels.shape != shape or pixels.dtype.kind not in "iuf":
        raise refused
    return pixels


def _too_large(name: str, layout: Layout) -> OperationError:
    return OperationError(
        f"{name} is too large: {layout.width} x {layout.height} pixels of {layout.samples} bands"
    )
