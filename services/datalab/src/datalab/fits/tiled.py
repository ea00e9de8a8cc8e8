"""Images in compressed tiles: Rice and gzip by ourselves, what is rare by astropy."""

from __future__ import annotations

from typing import Any, BinaryIO, Final

import imagecodecs
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from datalab.fits import rice
from datalab.fits.hdus import Hdu
from datalab.fits.numbers import numbers_of
from datalab.fits.tile_table import numbers_in, read_places, tile_table
from datalab.operations.operation import OperationError

_RICE: Final = ("RICE_1", "RICE_ONE")
_GZIP: Final = ("GZIP_1", "GZIP_2")
_DITHERS: Final = {"NO_DITHER": 0, "SUBTRACTIVE_DITHER_1": 1, "SUBTRACTIVE_DITHER_2": 2}
_RANDOMS: Final = rice.randoms()
_PARAMETERS_AT_MOST: Final = 16
_BLOCK_AT_MOST: Final = 1 << 16
_NUMBERS_AT_ONCE: Final = 1 << 16


class TiledImage:
    """An image in compressed tiles, read by rows of tiles.

    Raises:
        OperationError: The table of tiles is damaged.
    """

    def __init__(self, hdu: Hdu, index: int) -> None:
        columns, rows = hdu.axes
        self.shape = (rows, columns)
        self.numbers = numbers_of(hdu)
        self.tile_rows = min(hdu.whole("ZTILE2", 1, least=1), rows)
        self._tile_columns = min(hdu.whole("ZTILE1", columns, least=1), columns)
        self._across = -(-columns // self._tile_columns)
        self._file, self._index = hdu.file, index
        self._kind = str(hdu.value("ZCMPTYPE", "")).strip()
        self._table = tile_table(hdu, self._across * -(-rows // self.tile_rows))
        self._scale_zero = (hdu.value("ZSCALE"), hdu.value("ZZERO"))
        self._dither = _DITHERS.get(str(hdu.value("ZQUANTIZ", "NO_DITHER")).strip(), -1)
        self._first_random = hdu.whole("ZDITHER0", 1, least=1) - 1
        self._blank = hdu.whole("ZBLANK", rice.BLANK, least=-(2**31))
        self._block = _parameter(hdu, "BLOCKSIZE", 32, _BLOCK_AT_MOST)
        self._width = _parameter(hdu, "BYTEPIX", 4, 4)

    def rows(self, file: BinaryIO, start: int, stop: int) -> NDArray[Any]:
        """Return some rows, as numbers that are meant.

        Raises:
            OperationError: A tile is damaged.
        """
        tiles, shape, wanted = self._tiles(start, stop)
        table = self._table.rows(file, tiles)
        coded = self._table.places("COMPRESSED_DATA", table)
        plainer = self._table.places("GZIP_COMPRESSED_DATA", table)
        plainer[coded[:, 1] > 0] = 0
        if not self._is_ours or not (coded[:, 1] + plainer[:, 1]).all():
            return self._by_astropy(file, start, stop)
        pixels = np.empty(shape, self.numbers.stored)
        if self._kind in _RICE:
            self._fill_by_rice(file, coded, self._scales(table), tiles.start, pixels)
        else:
            self._fill_by_gzip(file, coded, pixels, shuffled=self._kind == "GZIP_2")
        self._fill_by_gzip(file, plainer, pixels, shuffled=False)
        return self.numbers.physical(pixels[wanted])

    def marks(self, file: BinaryIO, start: int, stop: int) -> NDArray[np.bool_]:
        """Return where numbers of some rows are not zero.

        Raises:
            OperationError: A tile is damaged.
        """
        tiles, shape, wanted = self._tiles(start, stop)
        places = self._table.places("COMPRESSED_DATA", self._table.rows(file, tiles))
        is_whole = self._kind in _RICE and self._is_ours and self.numbers.stored.kind != "f"
        if not is_whole or not self.numbers.are_as_stored or not places[:, 1].all():
            return np.asarray(self.rows(file, start, stop) != 0)
        marks = np.empty(shape, np.bool_)
        data, starts = read_places(file, places)
        coded = np.column_stack([starts, places[:, 1], self._where(marks, len(places))])
        bits = (1 << 8 * self.numbers.stored.itemsize) - 1
        if rice.decode_marks(data, coded, self._width, self._block, bits, marks) >= 0:
            raise self._damaged()
        return marks[wanted]

    def _tiles(self, start: int, stop: int) -> tuple[slice, tuple[int, int], slice]:
        """Return the tiles that have some rows, the shape of their pixels, and where in that the rows are."""
        first, last = start // self.tile_rows, -(-stop // self.tile_rows)
        above = first * self.tile_rows
        shape = (min(last * self.tile_rows, self.shape[0]) - above, self.shape[1])
        return slice(first * self._across, last * self._across), shape, slice(start - above, stop - above)

    @property
    def _is_ours(self) -> bool:
        if self._kind in _RICE:
            is_float = self.numbers.stored.kind == "f"
            return is_float == self._is_quantised and (not is_float or self._dither >= 0)
        return self._kind in _GZIP and not self._is_quantised

    @property
    def _is_quantised(self) -> bool:
        in_header = all(isinstance(value, (int, float)) for value in self._scale_zero)
        return in_header or (self._table.has("ZSCALE") and self._table.has("ZZERO"))

    def _scales(self, table: NDArray[np.void]) -> NDArray[np.float64]:
        """Return scale and zero of each tile; none, if its numbers were not quantised."""
        if not self._is_quantised:
            return np.empty((0, 2))
        if self._table.has("ZSCALE") and self._table.has("ZZERO"):
            return np.column_stack([numbers_in(table, "ZSCALE"), numbers_in(table, "ZZERO")])
        return np.tile(np.array([self._scale_zero], np.float64), (len(table), 1))

    def _where(self, pixels: NDArray[Any], count: int) -> NDArray[np.int64]:
        """Return top, left, height and width in ``pixels`` of tiles, the first of which begins a row."""
        tiles = np.arange(count)
        top, left = tiles // self._across * self.tile_rows, tiles % self._across * self._tile_columns
        height = np.minimum(self.tile_rows, pixels.shape[0] - top)
        return np.column_stack([top, left, height, np.minimum(self._tile_columns, pixels.shape[1] - left)])

    def _fill_by_rice(
        self,
        file: BinaryIO,
        places: NDArray[np.int64],
        scales: NDArray[np.float64],
        first: int,
        pixels: NDArray[Any],
    ) -> None:
        coded = np.flatnonzero(places[:, 1])
        data, starts = read_places(file, places[coded])
        tiles = np.column_stack([starts, places[coded, 1], self._where(pixels, len(places))[coded]])
        if not len(scales):
            damaged = self._decode_integers(data, tiles, pixels)
        else:
            seeds = (coded + first + self._first_random) % rice.RANDOMS
            damaged = rice.decode_floats(
                data, tiles, scales[coded], self._blank, self._dither, seeds, _RANDOMS, self._block, pixels
            )
        if damaged >= 0:
            raise self._damaged()

    def _decode_integers(
        self, data: NDArray[np.uint8], tiles: NDArray[np.int64], pixels: NDArray[Any]
    ) -> int:
        """Decode some rows of tiles at a time: all, as numbers of four bytes, do not fit into the cache."""
        rows = max(1, _NUMBERS_AT_ONCE // (self.tile_rows * self.shape[1])) * self.tile_rows
        numbers = np.empty((min(rows, len(pixels)), self.shape[1]), np.int32)
        for top in range(0, len(pixels), rows):
            some = tiles[(tiles[:, 2] >= top) & (tiles[:, 2] < top + rows)]
            some[:, 2] -= top
            damaged = rice.decode_integers(data, some, self._width, self._block, numbers)
            if damaged >= 0:
                return damaged
            pixels[top : top + rows] = numbers[: len(pixels) - top]
        return -1

    def _fill_by_gzip(
        self, file: BinaryIO, places: NDArray[np.int64], pixels: NDArray[Any], *, shuffled: bool
    ) -> None:
        coded = np.flatnonzero(places[:, 1])
        data, starts = read_places(file, places[coded])
        where = self._where(pixels, len(places))[coded]
        for start, size, (top, left, height, width) in zip(starts, places[coded, 1], where, strict=True):
            content = self._unpacked(data[start : start + size], height * width)
            if shuffled:
                content = _together(content, self.numbers.stored.itemsize)
            tile = content.view(self.numbers.stored.newbyteorder(">")).reshape(height, width)
            pixels[top : top + height, left : left + width] = tile

    def _unpacked(self, packed: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
        needed = int(pixels) * self.numbers.stored.itemsize
        try:
            content = np.frombuffer(imagecodecs.gzip_decode(packed.tobytes(), out=needed), np.uint8)
        except (RuntimeError, ValueError) as error:
            raise self._damaged() from error
        if content.size != needed:
            raise self._damaged()
        return content

    def _by_astropy(self, file: BinaryIO, start: int, stop: int) -> NDArray[Any]:
        file.seek(0)
        try:
            rows = fits.open(file, memmap=False)[self._index].section[start:stop]
        except Exception as error:  # whatever a codec says of damaged bytes
            raise self._damaged() from error
        return np.asarray(rows).astype(self.numbers.meant, copy=False).reshape(stop - start, self.shape[1])

    def _damaged(self) -> OperationError:
        return OperationError(f"{self._file} is damaged: its pixels cannot be unpacked")


def _together(planes: NDArray[np.uint8], itemsize: int) -> NDArray[np.uint8]:
    """Return the bytes of each number together, where all first ones stood before all second ones."""
    content = np.empty((planes.size // itemsize, itemsize), np.uint8)
    for index, plane in enumerate(planes.reshape(itemsize, -1)):
        content[:, index] = plane
    return content.ravel()


def _parameter(hdu: Hdu, name: str, default: int, most: int) -> int:
    """Return a parameter of the compression.

    Raises:
        OperationError: It is out of bounds.
    """
    for number in range(1, _PARAMETERS_AT_MOST):
        if str(hdu.value(f"ZNAME{number}", "")).strip() == name:
            value = hdu.whole(f"ZVAL{number}", default, least=1, most=most)
            if name == "BYTEPIX" and value not in (1, 2, 4):
                break
            return value
    else:
        return default
    raise OperationError(f"{hdu.file} is not readable: its pixels have {value} bytes")
