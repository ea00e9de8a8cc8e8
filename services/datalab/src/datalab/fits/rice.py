"""Rice-coded tiles (RICE_1 of the FITS standard) to numbers, many tiles in one call.

A tile is its first pixel as it is, then blocks of differences to the pixel before. Each block says how many
low bits of its differences stand as they are; what is above them is counted in zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic
from numpy.typing import NDArray

from datalab.kernels.compiled import compiled

PADDING_BYTES: Final = 16
"""That must stand behind the last tile: bits are loaded eight bytes at a time."""
BLANK: Final = -2147483647
"""Stands for NaN among quantised numbers, unless the file names another."""
ZERO: Final = -2147483646
"""Stands for an exact zero where dithering keeps zeros."""
RANDOMS: Final = 10000
_WHOLE_BITS: Final = 57
"""Of eight bytes, wherever in the first of them a code begins."""


def _eight_bytes_typed(_context: Any, array: Any, start: Any) -> Any:
    def generate(compiling: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        struct = compiling.make_array(signature.args[0])(compiling, builder, arguments[0])
        place = builder.gep(struct.data, [arguments[1]])
        number = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)
        return builder.bswap(number)

    return numba.types.uint64(array, start), generate


def _leading_zeros_typed(_context: Any, _number: Any) -> Any:
    def generate(_compiling: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return numba.types.int64(numba.types.uint64), generate


_eight_bytes: Callable[[NDArray[np.uint8], int], np.uint64] = cast("Any", intrinsic(_eight_bytes_typed))
"""The eight bytes from a place on as one number, the first of them highest."""
_leading_zeros: Callable[[np.uint64], int] = cast("Any", intrinsic(_leading_zeros_typed))


@compiled
def _bits_as_they_are(
    data: NDArray[np.uint8], at: int, end: int, bits: int, last: Any, values: NDArray[np.int32]
) -> tuple[int, Any]:
    """Decode a block of differences that stand as they are; return the bit behind it and the last value."""
    if at + bits * values.size > end:
        return end + 1, last
    for index in range(values.size):
        window = _eight_bytes(data, at >> 3) << np.uint64(at & 7)
        code = np.int64(window >> np.uint64(64 - bits))
        at += bits
        last += (code >> 1) ^ -(code & 1)
        values[index] = last
    return at, last


@compiled
def _bits_after_zeros(
    data: NDArray[np.uint8], at: int, end: int, low_bits: int, last: Any, values: NDArray[np.int32]
) -> tuple[int, Any]:
    """Decode a block of differences of low bits and counted zeros; see ``_bits_as_they_are``."""
    done, at, last = _by_fours(data, at, end, low_bits, last, values)
    window, left = np.uint64(0), 0
    for index in range(done, values.size):
        high = np.int64(0)
        zeros = _leading_zeros(window)
        while zeros + 1 + low_bits > left:
            taken = min(zeros, left)
            high, at = high + taken, at + taken
            if at >= end:
                return end + 1, last
            window, left = _eight_bytes(data, at >> 3) << np.uint64(at & 7), 64 - (at & 7)
            zeros = _leading_zeros(window)
        window = (window << np.uint64(zeros)) << np.uint64(1)
        low = np.int64((window >> np.uint64(1)) >> np.uint64(63 - low_bits))
        code = ((high + zeros) << low_bits) | low
        window <<= np.uint64(low_bits)
        left -= zeros + 1 + low_bits
        at += zeros + 1 + low_bits
        last += (code >> 1) ^ -(code & 1)
        values[index] = last
    return at, last


@compiled
def _by_fours(
    data: NDArray[np.uint8], at: int, end: int, low_bits: int, last: Any, values: NDArray[np.int32]
) -> tuple[int, int, Any]:
    """Decode while four differences lie in eight bytes; return how many, the bit behind and the last one."""
    done = 0
    bits, above = np.uint64(low_bits), np.uint64(63 - low_bits)
    while done + 4 <= values.size:
        window = _eight_bytes(data, at >> 3) << np.uint64(at & 7)
        used, value = 4 * (1 + low_bits), last
        for index in range(4):
            zeros = _leading_zeros(window)
            window = (window << np.uint64(zeros & 63)) << np.uint64(1)
            code = (zeros << low_bits) | np.int64((window >> np.uint64(1)) >> above)
            window <<= bits
            used += zeros
            value += (code >> 1) ^ -(code & 1)
            values[done + index] = value
        if used > _WHOLE_BITS or at + used > end:
            break
        done, at, last = done + 4, at + used, value
    return done, at, last


@compiled
def _decode(
    data: NDArray[np.uint8], start: int, size: int, width: int, block: int, values: NDArray[np.int32]
) -> bool:
    """Decode one tile whose numbers have ``width`` bytes; False: it ends too early or makes no sense."""
    selector_bits, most_low_bits = 3 + width // 2, (6, 14, 0, 25)[width - 1]
    at, end = 8 * (start + width), 8 * (start + size)
    if size < width:
        return False
    last: Any = np.int64(_eight_bytes(data, start) >> np.uint64(64 - 8 * width))
    for first in range(0, values.size, block):
        many = values[first : first + block]
        if at + selector_bits > end:
            return False
        window = _eight_bytes(data, at >> 3) << np.uint64(at & 7)
        low_bits: Any = np.int64(window >> np.uint64(64 - selector_bits)) - 1
        at += selector_bits
        if low_bits < 0:
            many[:] = last
        elif low_bits >= most_low_bits:
            at, last = _bits_as_they_are(data, at, end, 8 * width, last, many)
        else:
            at, last = _bits_after_zeros(data, at, end, low_bits, last, many)
    return at <= end


@compiled
def decode_integers(
    data: NDArray[np.uint8], tiles: NDArray[np.int64], width: int, block: int, pixels: NDArray[np.int32]
) -> int:
    """Fill ``pixels`` from ``tiles`` and return -1, or the number of the first that is damaged.

    Args:
        data: Bytes of the file, with ``PADDING_BYTES`` behind the last tile.
        tiles: Of each, where it starts in ``data``, its bytes; its top, left, height, width in ``pixels``.
        width: Bytes of a number as coded.
        block: How many differences share a selector.
        pixels: Whole tiles; of shorter numbers than these the low bits count.
    """
    values = np.empty(_largest(tiles), np.int32)
    for number in range(len(tiles)):
        start, size, top, left, height, wide = tiles[number]
        if not _decode(data, start, size, width, block, values[: height * wide]):
            return number
        for row in range(height):
            for column in range(wide):
                pixels[top + row, left + column] = values[row * wide + column]
    return -1


@compiled
def decode_marks(
    data: NDArray[np.uint8],
    tiles: NDArray[np.int64],
    width: int,
    block: int,
    bits: int,
    marks: NDArray[np.bool_],
) -> int:
    """Say of whole numbers which are not zero; see ``decode_integers``.

    Rows without any marks are most of a mask: a tile of the same bytes as the one before is not decoded.

    Args:
        data: See ``decode_integers``.
        tiles: See ``decode_integers``.
        width: Bytes of a number as coded.
        block: How many differences share a selector.
        bits: Those of a number that count.
        marks: Filled, whole tiles.
    """
    values = np.empty(_largest(tiles), np.int32)
    flags = np.empty(values.size, np.bool_)
    for number in range(len(tiles)):
        start, size, top, left, height, wide = tiles[number]
        many = height * wide
        same = number > 0 and many == tiles[number - 1, 4] * tiles[number - 1, 5]
        if not (same and _same_bytes(data, start, size, tiles[number - 1])):
            if not _decode(data, start, size, width, block, values[:many]):
                return number
            for index in range(many):
                flags[index] = values[index] & bits != 0
        for row in range(height):
            into = marks[top + row, left : left + wide]
            for column in range(wide):  # to assign a slice takes seconds to compile
                into[column] = flags[row * wide + column]
    return -1


@compiled
def _same_bytes(data: NDArray[np.uint8], start: int, size: int, other: NDArray[np.int64]) -> bool:
    if other[1] != size:
        return False
    differ = 0
    for index in range(size):
        differ |= data[start + index] ^ data[other[0] + index]
    return differ == 0


@compiled
def decode_floats(
    data: NDArray[np.uint8],
    tiles: NDArray[np.int64],
    scales: NDArray[np.float64],
    blank: int,
    dither: int,
    seeds: NDArray[np.int64],
    randoms: NDArray[np.float32],
    block: int,
    pixels: NDArray[Any],
) -> int:
    """Do the same for floats that were quantised: ``number * scale + zero``, less the noise added before.

    Args:
        data: See ``decode_integers``.
        tiles: See ``decode_integers``.
        scales: A row each: scale and zero.
        blank: Stands for NaN.
        dither: 0: nothing was added; 1, 2: a number of ``randoms``; 2 keeps exact zeros.
        seeds: Where in ``randoms`` each tile starts.
        randoms: See ``randoms()``.
        block: See ``decode_integers``.
        pixels: See ``decode_integers``.
    """
    values = np.empty(_largest(tiles), np.int32)
    floats = np.empty(values.size, pixels.dtype)
    for number in range(len(tiles)):
        start, size, top, left, height, wide = tiles[number]
        if not _decode(data, start, size, 4, block, values[: height * wide]):
            return number
        seed, done, many = seeds[number], 0, height * wide
        following = int(randoms[seed] * 500)
        while done < many:
            run = min(RANDOMS - following, many - done)
            noises = randoms[following : following + run]
            _unquantise(
                values[done : done + run], noises, scales[number], blank, dither, floats[done : done + run]
            )
            done, seed = done + run, (seed + 1) % RANDOMS
            following = int(randoms[seed] * 500)
        for row in range(height):
            into = pixels[top + row, left : left + wide]
            for column in range(wide):
                into[column] = floats[row * wide + column]
    return -1


@compiled
def _unquantise(
    values: NDArray[np.int32],
    noises: NDArray[np.float32],
    scale_zero: NDArray[np.float64],
    blank: int,
    dither: int,
    floats: NDArray[Any],
) -> None:
    scale, zero = scale_zero
    if dither == 0:
        for index in range(values.size):
            floats[index] = np.float64(values[index]) * scale + zero
    else:
        for index in range(values.size):
            floats[index] = (np.float64(values[index]) - np.float64(noises[index]) + 0.5) * scale + zero
    for index in range(values.size):
        if values[index] == blank:
            floats[index] = np.nan
        elif dither == 2 and values[index] == ZERO:  # noqa: PLR2004
            floats[index] = 0.0


@compiled
def _largest(tiles: NDArray[np.int64]) -> int:
    largest = 0
    for number in range(len(tiles)):
        largest = max(largest, tiles[number, 4] * tiles[number, 5])
    return largest


def randoms() -> NDArray[np.float32]:
    """Return the numbers that the FITS standard (4.0, appendix I) dithers with."""
    numbers = np.empty(RANDOMS, np.float32)
    seed = 1
    for index in range(RANDOMS):
        seed = seed * 16807 % 2147483647
        numbers[index] = seed / 2147483647
    return numbers
