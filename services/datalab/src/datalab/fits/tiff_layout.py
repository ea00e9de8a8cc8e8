"""How a TIFF keeps its pixels, and the unpacking of one piece of them: a strip or a tile."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

Buffer = Any
"""Bytes, as a map of a file has them."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _SAMPLES, _STRIP_ROWS, _STRIP_SIZES, _PLANAR, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_ROWS, _TILES, _TILE_SIZES, _FORMAT, _NO_DATA = 322, 323, 324, 325, 339, 42113
_BIG: Final = 43
_NUMBERS: Final = {3: "u2", 4: "u4", 16: "u8"}
_TEXT: Final = 2
_SIZES: Final = {1: 1, _TEXT: 1, 3: 2, 4: 4, 16: 8}
_ENTRIES_AT_MOST: Final = 1024
_VALUES_AT_MOST: Final = 1 << 22
_SIDE_AT_MOST: Final = 1 << 20
_KINDS: Final = {1: "u", 2: "i", 3: "f"}
_GREY, _RGB = 1, 2
_DIFFERENCES: Final = 2
_TOGETHER: Final = 1
"""Bands lie pixel by pixel, and not one after the other."""


def _plain(packed: Buffer, out: NDArray[np.uint8]) -> object:
    out[:] = np.frombuffer(packed, np.uint8)
    return out


_UNPACK: Final[Mapping[int, Callable[..., Any]]] = {
    1: _plain,
    5: imagecodecs.lzw_decode,
    8: imagecodecs.deflate_decode,
    32946: imagecodecs.deflate_decode,
    50000: imagecodecs.zstd_decode,
}


class UnreadableTiffError(Exception):
    """It is damaged."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where and how the first image of a TIFF lies."""

    order: str
    width: int
    height: int
    samples: int
    bits: int
    kind: str
    """``u``, ``i`` or ``f``; empty: others."""
    compression: int
    predictor: int
    planar: int
    is_simple: bool
    """Its pixels stand for themselves."""
    rows: int
    """Of a piece, the last of which may have fewer where they are strips."""
    columns: int
    offsets: NDArray[Any]
    sizes: NDArray[Any]
    is_tiled: bool
    no_data: float | None

    @property
    def can_be_read(self) -> bool:
        """Return whether ``piece`` knows how."""
        is_known = self.compression in _UNPACK and self.kind and self.bits in (8, 16, 32, 64)
        is_sound = self.predictor == 1 or (self.predictor == _DIFFERENCES and self.kind != "f")
        return bool(is_known and is_sound and self.is_simple) and (self.kind, self.bits) != ("f", 8)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the kind of the pixels, as the processor wants them."""
        return np.dtype(f"{self.kind}{self.bits // 8}")

    @property
    def across(self) -> int:
        """Return how many pieces lie beside each other."""
        return -(-self.width // self.columns)

    def rows_of(self, down: int) -> int:
        """Return how many rows of the image a piece holds that is the ``down``-th from the top."""
        return min(self.rows, self.height - down * self.rows)

    def piece(self, content: Buffer, down: int, right: int) -> NDArray[Any]:
        """Return the first band of a piece.

        Raises:
            UnreadableTiffError: It is damaged.
        """
        number = down * self.across + right
        rows = self.rows if self.is_tiled else self.rows_of(down)
        bands = self.samples if self.planar == _TOGETHER else 1
        if number >= min(len(self.offsets), len(self.sizes)):
            raise UnreadableTiffError
        start, size = int(self.offsets[number]), int(self.sizes[number])
        if not size:  # left out, as nothing is there
            return np.zeros((rows, self.columns), self.dtype)
        unpacked = np.empty(rows * self.columns * bands * self.dtype.itemsize, np.uint8)
        try:
            found = _UNPACK[self.compression](content[start : start + size], out=unpacked)
        except (RuntimeError, ValueError, TypeError) as error:
            raise UnreadableTiffError from error
        if len(found) != len(unpacked):
            raise UnreadableTiffError
        return self._first(unpacked, rows, bands)

    def _first(self, unpacked: NDArray[np.uint8], rows: int, bands: int) -> NDArray[Any]:
        stored = np.dtype(f"{self.order}{self.kind}{self.dtype.itemsize}")
        first: NDArray[Any] = unpacked.view(stored).reshape(rows, self.columns, bands)[..., 0]
        first = first.astype(self.dtype)
        if self.predictor == _DIFFERENCES:
            first = np.cumsum(first, axis=1, dtype=self.dtype)
        return first


def layout_of(content: Buffer) -> Layout:
    """Return how the first image of a TIFF lies.

    Raises:
        UnreadableTiffError: It is no readable TIFF.
    """
    try:
        return _layout(_Tags.of(content))
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise UnreadableTiffError from error


def _layout(tags: _Tags) -> Layout:
    width, height, bits = tags.number(_WIDTH), tags.number(_HEIGHT), tags.numbers(_BITS, 8)
    is_tiled = _TILES in tags.entries
    planar, formats = tags.number(_PLANAR, 1), tags.numbers(_FORMAT, 1)
    samples = tags.number(_SAMPLES, 1)
    is_simple = (
        tags.number(_PHOTOMETRIC, _GREY) in (_GREY, _RGB)
        and tags.number(_FILL_ORDER, 1) == 1
        and len({*bits.tolist()}) == len({*formats.tolist()}) == 1
    )
    rows = tags.number(_TILE_ROWS) if is_tiled else min(tags.number(_STRIP_ROWS, height), height)
    columns = tags.number(_TILE_WIDTH) if is_tiled else width
    if not (0 < rows <= _SIDE_AT_MOST and 0 < columns <= _SIDE_AT_MOST):
        raise UnreadableTiffError
    return Layout(
        tags.order,
        width,
        height,
        samples,
        int(bits[0]),
        _KINDS.get(int(formats[0]), ""),
        tags.number(_COMPRESSION, 1),
        tags.number(_PREDICTOR, 1),
        planar,
        is_simple,
        rows,
        columns,
        tags.numbers(_TILES if is_tiled else _STRIPS),
        tags.numbers(_TILE_SIZES if is_tiled else _STRIP_SIZES),
        is_tiled,
        tags.no_data(),
    )


@dataclass(frozen=True, slots=True)
class _Tags:
    content: Buffer
    order: str
    entries: Mapping[int, tuple[int, int, int]]
    """Kind, count, and where the values are."""

    @classmethod
    def of(cls, content: Buffer) -> _Tags:
        order = "<" if content[:1] == b"I" else ">"

        def number(form: str, at: int) -> int:
            return int(struct.unpack(order + form, content[at : at + struct.calcsize(form)])[0])

        is_big = number("H", 2) == _BIG
        word, short, size = ("Q", 8, 20) if is_big else ("I", 4, 12)
        at = number("Q", 8) if is_big else number("I", 4)
        first = at + (8 if is_big else 2)
        entries = {}
        for index in range(min(number("Q" if is_big else "H", at), _ENTRIES_AT_MOST)):
            entry = first + index * size
            tag, kind, count = number("H", entry), number("H", entry + 2), number(word, entry + 4)
            value = entry + 4 + short
            if count * _SIZES.get(kind, 8) > short:
                value = number(word, value)
            entries[tag] = (kind, count, value)
        return cls(content, order, entries)

    def numbers(self, tag: int, default: int | None = None) -> NDArray[Any]:
        if tag not in self.entries and default is not None:
            return np.array([default])
        kind, count, at = self.entries[tag]
        if not 0 < count <= _VALUES_AT_MOST:
            raise UnreadableTiffError
        form = np.dtype(f"{self.order}{_NUMBERS[kind]}")
        return np.frombuffer(self.content[at : at + count * form.itemsize], form, count)

    def number(self, tag: int, default: int | None = None) -> int:
        return int(self.numbers(tag, default)[0])

    def no_data(self) -> float | None:
        """Return what stands for no value, as GDAL writes it."""
        kind, count, at = self.entries.get(_NO_DATA, (0, 0, 0))
        try:
            return float(self.content[at : at + min(count, 64)].rstrip(b"\0 ")) if kind == _TEXT else None
        except ValueError:
            return None
