"""The pixels of a TIFF: strips or tiles, chunky or planar, as arrays of numbers and back.

OpenCV's own way through libtiff turns images, multiplies colours with alpha, mixes up planes and lets damaged
strips pass (docs/decisions/0017), so that of libtiff only the unpacking of LZW and PackBits is used.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from scaler.domain.asks import RejectedError
from scaler.imaging import tiff_file as tags
from scaler.imaging.tiff_file import LONG, SHORT, TiffFile, entry

NONE, LZW, DEFLATE, OLD_DEFLATE, PACK_BITS = 1, 5, 8, 32946, 32773
_STRIP_BYTES: Final = 1 << 20
_EFFORT: Final = 4
_LARGEST_MARGIN: Final = 4096
"""By which a tile may be larger than the image."""
_SEPARATE: Final = 2
_DIFFERENCES: Final = 2
"""The predictor that leaves of each sample the difference to its neighbour."""


def decoded(content: bytes, file: TiffFile) -> NDArray[Any]:
    """Return rows, columns and channels, in the numbers that are stored.

    Raises:
        RejectedError: A strip is missing, damaged, or packed in a way we do not read.
    """
    if file.number(tags.COMPRESSION, NONE) not in (NONE, LZW, DEFLATE, OLD_DEFLATE, PACK_BITS):
        number = file.number(tags.COMPRESSION, NONE)
        raise RejectedError("unsupported", f"TIFFs with compression {number} are not scaled")
    if file.number(tags.PREDICTOR, 1) not in (1, _DIFFERENCES):
        raise RejectedError("unsupported", "TIFFs with this predictor are not scaled")
    width, height = file.number(tags.WIDTH, 0), file.number(tags.HEIGHT, 0)
    samples, kind = file.number(tags.SAMPLES, 1), _kind(file)
    pixels = np.empty((height, width, samples), kind.newbyteorder("="))
    is_tiled = tags.TILE_OFFSETS in file.directory
    is_planar = file.number(tags.PLANAR, 1) == _SEPARATE
    channels = [slice(one, one + 1) for one in range(samples)] if is_planar else [slice(0, samples)]
    rows, columns = _block_size(file, width, height)
    offsets, sizes = _blocks(file, -(-height // rows) * -(-width // columns) * len(channels))
    places = [(top, left) for top in range(0, height, rows) for left in range(0, width, columns)]
    for index, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
        top, left = places[index % len(places)]
        channel = channels[index // len(places)]
        shape = (rows if is_tiled else min(rows, height - top), columns, channel.stop - channel.start)
        block = _block(content, file, (offset, size), shape)
        pixels[top : top + rows, left : left + columns, channel] = block[: height - top, : width - left]
    return pixels


def _kind(file: TiffFile) -> np.dtype[Any]:
    return np.dtype(np.uint8 if file.numbers(tags.BITS)[0] == 8 else np.uint16).newbyteorder(file.order)  # type: ignore[arg-type] # noqa: PLR2004


def _block_size(file: TiffFile, width: int, height: int) -> tuple[int, int]:
    """Return rows and columns of a tile or of a strip but the last, as stored."""
    if tags.TILE_OFFSETS not in file.directory:
        rows, columns = min(file.number(tags.ROWS_PER_STRIP, height), height), width
    else:
        rows, columns = file.number(tags.TILE_HEIGHT, 0), file.number(tags.TILE_WIDTH, 0)
    if not (0 < rows <= height + _LARGEST_MARGIN and 0 < columns <= width + _LARGEST_MARGIN):
        raise RejectedError("corrupt", f"the TIFF has strips or tiles of {columns} x {rows} pixels")
    return rows, columns


def _blocks(file: TiffFile, needed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    is_tiled = tags.TILE_OFFSETS in file.directory
    offsets = file.numbers(tags.TILE_OFFSETS if is_tiled else tags.STRIP_OFFSETS)
    sizes = file.numbers(tags.TILE_BYTES if is_tiled else tags.STRIP_BYTES)
    if len(offsets) != needed or len(sizes) != needed:
        raise RejectedError("corrupt", f"the TIFF has {len(offsets)} strips or tiles and needs {needed}")
    return offsets, sizes


def _block(
    content: bytes, file: TiffFile, where: tuple[int, int], shape: tuple[int, int, int]
) -> NDArray[Any]:
    offset, size = where
    if offset + size > len(content):
        raise RejectedError("truncated", "the TIFF ends before its last pixel")
    kind = _kind(file)
    needed = int(np.prod(shape)) * kind.itemsize
    plain = _unpacked(content[offset : offset + size], file.number(tags.COMPRESSION, NONE), needed, shape[0])
    if len(plain) < needed:
        raise RejectedError("corrupt", "a strip or tile of the TIFF has too few pixels")
    block = np.frombuffer(plain, kind, needed // kind.itemsize).reshape(shape)
    block = block.astype(kind.newbyteorder("="), copy=False)
    if file.number(tags.PREDICTOR, 1) == _DIFFERENCES:
        block = np.cumsum(block, axis=1, dtype=block.dtype)
    return block


def _unpacked(packed: bytes, compression: int, needed: int, rows: int) -> bytes:
    if compression == NONE:
        return packed
    if compression in (DEFLATE, OLD_DEFLATE):
        unpacker = zlib.decompressobj()
        try:
            plain = unpacker.decompress(packed, needed + 1)
        except zlib.error as error:
            raise RejectedError("corrupt", f"a strip or tile of the TIFF is damaged: {error}") from error
        if len(plain) == needed + 1 or not (unpacker.eof or unpacker.unconsumed_tail):
            raise RejectedError("corrupt", "a strip or tile of the TIFF is damaged: it has no proper end")
        return plain
    return _by_libtiff(packed, compression, needed, rows)


def _by_libtiff(packed: bytes, compression: int, needed: int, rows: int) -> bytes:
    """Unpack by having OpenCV read a grey image of 16 bits, for which it neither converts nor forgives.

    An odd last byte is not within such an image; it is read from one of 8 bits, whose other bytes the
    first image has vouched for.
    """
    row_bytes = needed // rows
    width, height = (row_bytes // 2, rows) if row_bytes % 2 == 0 else (row_bytes, rows // 2)
    strict = _read_grey(packed, compression, (width, height, 16)) if height else b""
    if len(strict) == needed:
        return strict
    return strict + _read_grey(packed, compression, (row_bytes, rows, 8))[len(strict) :]


def _read_grey(packed: bytes, compression: int, size: tuple[int, int, int]) -> bytes:
    width, height, bits = size
    directory = {
        tags.WIDTH: entry("<", LONG, width),
        tags.HEIGHT: entry("<", LONG, height),
        tags.BITS: entry("<", SHORT, bits),
        tags.COMPRESSION: entry("<", SHORT, compression),
        tags.PHOTOMETRIC: entry("<", SHORT, 1),
        tags.SAMPLES: entry("<", SHORT, 1),
        tags.ROWS_PER_STRIP: entry("<", LONG, height),
    }
    content = tags.written("<", directory, {}, [packed])
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise RejectedError("corrupt", "a strip or tile of the TIFF is damaged")
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()


def encoded(pixels: NDArray[Any], order: str, compression: int) -> tuple[list[bytes], int]:
    """Return the strips of an image and how many rows each has; deflated ones hold differences."""
    stored = pixels.dtype.newbyteorder(order)  # type: ignore[arg-type]
    rows = max(1, _STRIP_BYTES // max(1, pixels[0].nbytes))
    strips = []
    for top in range(0, len(pixels), rows):
        part = pixels[top : top + rows]
        if compression == DEFLATE:
            part = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
        plain = part.astype(stored, copy=False).tobytes()
        strips.append(zlib.compress(plain, _EFFORT) if compression == DEFLATE else plain)
    return strips, rows
