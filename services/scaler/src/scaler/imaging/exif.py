"""Numbers of an EXIF block that count pixels, corrected in place; every other byte stays where it is."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from scaler.imaging.job import Job

_ORDERS: Final = {b"II*\x00": "<", b"MM\x00*": ">"}
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_EXIF_POINTER: Final = 0x8769
_MOST_SHORT, _MOST_LONG = 0xFFFF, 0xFFFFFFFF

_ACROSS, _DOWN = 0, 1
_LENGTHS: Final = {
    (False, 0x0100): _ACROSS,  # ImageWidth
    (False, 0x0101): _DOWN,  # ImageLength
    (True, 0xA002): _ACROSS,  # PixelXDimension
    (True, 0xA003): _DOWN,  # PixelYDimension
}
_DENSITIES: Final = {
    (True, 0xA20E): _ACROSS,  # FocalPlaneXResolution
    (True, 0xA20F): _DOWN,  # FocalPlaneYResolution
}
"""By whether they stand in the EXIF directory, and number. The sensor is the pixels over the density."""


class _BrokenError(Exception):
    """The block contradicts itself."""


@dataclass(slots=True)
class _Block:
    content: bytes
    order: str
    patches: dict[int, bytes] = field(default_factory=dict)
    taken: list[tuple[int, int]] = field(default_factory=list)
    """Where directories are: no patch may fall on them but within an entry."""

    def read(self, layout: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self.order + layout, self.content, at)
        except struct.error as error:
            raise _BrokenError(f"an offset points outside, to {at}") from error


def corrected(content: bytes, job: Job, notes: list[str]) -> bytes:
    """Return the TIFF block ``content`` with its counts of pixels multiplied; a broken one as it is."""
    order = _ORDERS.get(content[:4])
    if order is None:
        notes.append("the EXIF block has no head that we know; it is as it was")
        return content
    block = _Block(content, order)
    try:
        _look(block, job.growth)
        return _patched(block)
    except _BrokenError as error:
        notes.append(f"the EXIF block is broken ({error}); it is as it was")
        return content


def _look(block: _Block, growth: tuple[Fraction, Fraction]) -> None:
    (first,) = block.read("I", 4)
    for at, number, kind, count in _entries(block, first):
        _correct(block, at, (False, number), (kind, count), growth)
        if number == _EXIF_POINTER and (kind, count) == (_LONG, 1):
            (photo,) = block.read("I", at + 8)
            for inner, inner_number, inner_kind, inner_count in _entries(block, photo):
                _correct(block, inner, (True, inner_number), (inner_kind, inner_count), growth)


def _entries(block: _Block, at: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield where each entry of a directory is, its number, type and count."""
    (count,) = block.read("H", at)
    end = at + 2 + 12 * count
    if end > len(block.content):
        raise _BrokenError(f"a directory of {count} entries does not fit")
    if any(at < taken_end and end > start for start, taken_end in block.taken):
        raise _BrokenError("two directories lie on one another")
    block.taken.append((at, end))
    for entry in range(at + 2, end, 12):
        number, kind, values = block.read("HHI", entry)
        yield entry, number, kind, values


def _correct(
    block: _Block, at: int, name: tuple[bool, int], form: tuple[int, int], growth: tuple[Fraction, Fraction]
) -> None:
    if name in _LENGTHS and form in ((_SHORT, 1), (_LONG, 1)):
        _correct_length(block, at, form[0], growth[_LENGTHS[name]])
    elif name in _DENSITIES and form == (_RATIONAL, 1):
        _correct_density(block, at, growth[_DENSITIES[name]])


def _correct_length(block: _Block, at: int, kind: int, growth: Fraction) -> None:
    (length,) = block.read("H" if kind == _SHORT else "I", at + 8)
    longer = round(length * growth)
    if longer > _MOST_LONG:
        return
    if kind == _SHORT and longer <= _MOST_SHORT:
        block.patches[at + 8] = struct.pack(block.order + "H", longer)
    else:
        block.patches[at + 2] = struct.pack(block.order + "HII", _LONG, 1, longer)


def _correct_density(block: _Block, at: int, growth: Fraction) -> None:
    (where,) = block.read("I", at + 8)
    over, under = block.read("II", where)
    if any(where < end and where + 8 > start for start, end in block.taken):
        raise _BrokenError("a number lies on a directory")
    if over and under:
        block.patches[where] = struct.pack(block.order + "II", *rational(Fraction(over, under) * growth))


def rational(value: Fraction) -> tuple[int, int]:
    """Return numerator and denominator of 32 bits each: exact if that is possible, else the nearest."""
    if max(value.numerator, value.denominator) > _MOST_LONG:
        bound = _MOST_LONG if value <= 1 else int(_MOST_LONG / value)
        value = value.limit_denominator(max(1, bound))
    return min(value.numerator, _MOST_LONG), value.denominator


def _patched(block: _Block) -> bytes:
    content = bytearray(block.content)
    for at, patch in block.patches.items():
        content[at : at + len(patch)] = patch
    return bytes(content)
