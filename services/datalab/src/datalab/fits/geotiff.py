"""The first band of a GeoTIFF, such as a product of photogrammetry."""

from __future__ import annotations

import mmap
import struct
from math import prod
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from datalab.fits.hdus import PIXELS_AT_MOST
from datalab.operations.operation import OperationError

MAGICS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _SAMPLES = 256, 257, 258, 277
_BIG: Final = 43
_SHORT: Final = 3
_ENTRIES_AT_MOST: Final = 1024
_BYTES_AT_MOST: Final = 2 << 30


def first_band(path: Path, name: str) -> NDArray[Any]:
    """Return the first band, its lowest row first as in FITS.

    Raises:
        OperationError: It is damaged, of a kind that is not read, or too large.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _first_band(content, name)


def _first_band(content: mmap.mmap, name: str) -> NDArray[Any]:
    try:
        tags = _tags(content)
        size = (tags[_WIDTH], tags[_HEIGHT], tags.get(_SAMPLES, 1), (tags.get(_BITS, 8) + 7) // 8)
    except (struct.error, KeyError) as error:
        raise OperationError(f"{name} is not a readable TIFF") from error
    if not 0 < size[0] * size[1] <= PIXELS_AT_MOST or prod(size) > _BYTES_AT_MOST:
        raise OperationError(f"{name} is too large: {size[0]} x {size[1]} pixels of {size[2]} bands")
    try:
        pixels = np.asarray(imagecodecs.tiff_decode(content, index=0))
    except (RuntimeError, ValueError) as error:
        raise OperationError(f"{name} is damaged or a TIFF of a kind that is not read") from error
    if pixels.shape[:1] == (size[2],) and pixels.shape[1:] == (size[1], size[0]):
        pixels = pixels[0]
    elif pixels.ndim > 2:  # noqa: PLR2004
        pixels = pixels[..., 0]
    if pixels.shape != (size[1], size[0]) or pixels.dtype.kind not in "iuf":
        raise OperationError(f"{name} is a TIFF of a kind that is not read")
    return pixels[::-1]


def _tags(content: mmap.mmap) -> dict[int, int]:
    """Return the first number of each tag of the first directory that has one that is whole."""
    order = "<" if content[:1] == b"I" else ">"

    def number(form: str, at: int) -> int:
        return int(struct.unpack(order + form, content[at : at + struct.calcsize(form)])[0])

    big = number("H", 2) == _BIG
    at = number("Q", 8) if big else number("I", 4)
    many = number("Q" if big else "H", at)
    found = {}
    for index in range(min(many, _ENTRIES_AT_MOST)):
        entry = at + (8 if big else 2) + index * (20 if big else 12)
        tag, kind, count = number("H", entry), number("H", entry + 2), number("Q" if big else "I", entry + 4)
        value = entry + (12 if big else 8)
        if kind == _SHORT and count * 2 > (8 if big else 4):
            value = number("Q" if big else "I", value)
        found[tag] = number("H" if kind == _SHORT else "I", value)
    return found
