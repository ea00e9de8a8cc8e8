"""The table that a compressed image is stored in: where the bytes of each tile are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from datalab.fits.hdus import Hdu
from datalab.fits.rice import PADDING_BYTES
from datalab.operations.operation import OperationError

_WIDTHS: Final = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "A": 1, "P": 8, "Q": 16}
_NUMBERS: Final = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_POINTERS: Final = {"P": ">i4", "Q": ">i8"}
_COLUMNS_AT_MOST: Final = 64
_ROW_AT_MOST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class TileTable:
    """A row for each tile, read when it is needed: a thousand images have millions of tiles."""

    file: str
    columns: np.dtype[np.void]
    start: int
    heap_start: int
    heap_bytes: int

    def has(self, column: str) -> bool:
        """Return whether there is such a column."""
        return column in (self.columns.names or ())

    def rows(self, file: BinaryIO, tiles: slice) -> NDArray[np.void]:
        """Return the rows of some tiles."""
        file.seek(self.start + tiles.start * self.columns.itemsize)
        return np.frombuffer(file.read((tiles.stop - tiles.start) * self.columns.itemsize), self.columns)

    def places(self, column: str, rows: NDArray[np.void]) -> NDArray[np.int64]:
        """Return for each tile where its bytes start in the file and how many they are: none, if elsewhere.

        Raises:
            OperationError: They are said to be outside of the table.
        """
        if not self.has(column) or rows[column].ndim != 2:  # noqa: PLR2004
            return np.zeros((len(rows), 2), np.int64)
        sizes, starts = rows[column].astype(np.int64).T
        if (starts < 0).any() or (sizes < 0).any() or (sizes > self.heap_bytes - starts).any():
            raise OperationError(f"{self.file} is damaged: it places pixels outside of itself")
        return np.stack([starts + self.heap_start, sizes], axis=1)


def tile_table(hdu: Hdu, tiles: int) -> TileTable:
    """Return the table of a compressed image.

    Raises:
        OperationError: It is not one, or not for this many tiles.
    """
    width, rows = hdu.whole("NAXIS1", most=_ROW_AT_MOST_BYTES), hdu.whole("NAXIS2")
    columns = _columns(hdu)
    if rows != tiles or columns.itemsize != width:
        raise OperationError(f"{hdu.file} is damaged: its table of tiles is not that of its image")
    heap_start = hdu.whole("THEAP", width * rows, least=width * rows, most=hdu.data_bytes)
    return TileTable(
        hdu.file, columns, hdu.data_start, hdu.data_start + heap_start, hdu.data_bytes - heap_start
    )


def numbers_in(rows: NDArray[np.void], column: str) -> NDArray[np.float64]:
    """Return a column of numbers."""
    return np.asarray(rows[column].astype(np.float64).reshape(len(rows), -1)[:, 0])


def _columns(hdu: Hdu) -> np.dtype[np.void]:
    fields: list[tuple[Any, ...]] = []
    for number in range(1, hdu.whole("TFIELDS", least=1, most=_COLUMNS_AT_MOST) + 1):
        name = str(hdu.value(f"TTYPE{number}", "")).strip().upper() or f"column {number}"
        form = re.match(r"(\d{0,4})([LBIJKEDAPQ])", str(hdu.value(f"TFORM{number}", "")).strip())
        if form is None or any(name == field[0] for field in fields):
            raise OperationError(f"{hdu.file} is not readable: its table of tiles has an unknown column")
        many, letter = int(form[1] or 1), form[2]
        if letter in _POINTERS and many == 1:
            fields.append((name, _POINTERS[letter], (2,)))
        elif letter in _NUMBERS:
            fields.append((name, _NUMBERS[letter], (many,)))
        else:
            fields.append((name, f"V{many * _WIDTHS[letter]}"))
    return _dtype(tuple(fields))


@lru_cache(maxsize=64)
def _dtype(fields: tuple[tuple[Any, ...], ...]) -> np.dtype[np.void]:
    """Return a type that is the same for the thousand files of a night."""
    return np.dtype(list(fields))


def read_places(file: BinaryIO, places: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes at some places of a file, padded for Rice, and where in them each place starts."""
    if not len(places):
        return np.zeros(PADDING_BYTES, np.uint8), np.zeros(0, np.int64)
    starts, sizes = places.T
    first, last = int(starts.min()), int((starts + sizes).max())
    if last - first <= 2 * int(sizes.sum()):
        data = np.empty(last - first + PADDING_BYTES, np.uint8)
        file.seek(first)
        file.readinto(data[: last - first].data)  # type: ignore[attr-defined]
        return data, starts - first
    data = np.empty(int(sizes.sum()) + PADDING_BYTES, np.uint8)
    ours = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    for start, size, at in zip(starts, sizes, ours, strict=True):
        file.seek(int(start))
        file.readinto(data[at : at + size].data)  # type: ignore[attr-defined]
    return data, ours
