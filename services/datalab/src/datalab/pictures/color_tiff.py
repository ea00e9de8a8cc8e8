"""TIFFs of 16 bits in red, green and blue, written row by row in any order.

Nothing is compressed: of noise, which astronomical images mostly are, no method spares anything. So each row
has its place, and a picture of any size needs no memory.
"""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

_COLORS: Final = 3
_PIXEL_BYTES: Final = 2 * _COLORS
_STRIP_ROWS: Final = 64
_SHORT, _LONG = 3, 4
_LARGEST: Final = (1 << 32) - (1 << 20)


class ColorTiff:
    """A file that rows are written to; a context manager."""

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        """Begin a picture of so many rows and columns; what has not been written is black.

        Raises:
            ValueError: It is larger than a TIFF may be.
        """
        height, width = shape
        self._row_bytes = width * _PIXEL_BYTES
        if height * self._row_bytes > _LARGEST:
            raise ValueError(f"a TIFF cannot have {width} x {height} pixels")
        head = _head(height, width)
        self._start = len(head)
        self._file = path.open("wb")
        self._file.write(head)
        self._file.truncate(self._start + height * self._row_bytes)

    def put(self, first_row: int, shades: NDArray[np.uint16]) -> None:
        """Write rows of (red, green, blue) shades, the first row of the picture at its top."""
        self._file.seek(self._start + first_row * self._row_bytes)
        self._file.write(np.ascontiguousarray(shades, "<u2").data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _head(height: int, width: int) -> bytes:
    """Return all that stands before the pixels: the entries, and the lists that do not fit into these."""
    strips = -(-height // _STRIP_ROWS)
    row_bytes = width * _PIXEL_BYTES
    behind = 8 + 2 + 12 * 10 + 4
    lists = behind + 2 * _COLORS
    start = lists + (8 * strips if strips > 1 else 0)
    places = [start + number * _STRIP_ROWS * row_bytes for number in range(strips)]
    sizes = [min(_STRIP_ROWS, height - number * _STRIP_ROWS) * row_bytes for number in range(strips)]
    entries = (
        (256, _LONG, 1, width),
        (257, _LONG, 1, height),
        (258, _SHORT, _COLORS, behind),  # bits of each colour
        (259, _SHORT, 1, 1),  # not compressed
        (262, _SHORT, 1, 2),  # red, green and blue
        (273, _LONG, strips, lists if strips > 1 else places[0]),
        (277, _SHORT, 1, _COLORS),
        (278, _LONG, 1, _STRIP_ROWS),
        (279, _LONG, strips, lists + 4 * strips if strips > 1 else sizes[0]),
        (284, _SHORT, 1, 1),  # colours of a pixel stand together
    )
    content = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    content += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    content += struct.pack("<3H", 16, 16, 16)
    return content + (struct.pack(f"<{2 * strips}I", *places, *sizes) if strips > 1 else b"")
