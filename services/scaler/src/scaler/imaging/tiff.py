"""TIFF: decode, resize, encode, and the source's tags, among them where the image lies on the ground."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from scaler.imaging import exif, tiff_pixels, xmp
from scaler.imaging import tiff_file as tags
from scaler.imaging.job import Job, Result
from scaler.imaging.resizing import kernel_of, resized
from scaler.imaging.tiff_file import (
    ASCII,
    DOUBLE,
    LONG,
    RATIONAL,
    SHORT,
    Directory,
    Entry,
    TiffFile,
    entry,
    read_tiff,
)

_OF_OLD_PIXELS: Final = frozenset(
    {
        tags.FILL_ORDER, tags.STRIP_OFFSETS, tags.STRIP_BYTES, tags.TILE_WIDTH, tags.TILE_HEIGHT,
        tags.TILE_OFFSETS, tags.TILE_BYTES, tags.SUB_DIRECTORIES, tags.PREDICTOR,
        280, 281, 288, 289, 320, 347,
    }
)  # fmt: skip
_SOFTWARE, _XMP = 305, 700
_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION, _GEO_KEYS = 33550, 33922, 34264, 34735
_NO_DATA, _RPC, _MAKER_NOTE = 42113, 50844, 37500
_RASTER_TYPE, _IS_POINT = 1025, 2
_PACKED_OTHERWISE: Final = {tiff_pixels.LZW: "LZW", tiff_pixels.PACK_BITS: "PackBits"}


def scaled(job: Job) -> Result:
    """Return the TIFF scaled, with its depth, channels and byte order."""
    file = read_tiff(job.content)
    kernel = kernel_of(job.asks)
    pixels = resized(tiff_pixels.decoded(job.content, file), job.size, kernel)
    pixels = pixels.reshape(job.size[1], job.size[0], -1)
    notes: list[str] = []
    compression = _compression(file, notes)
    strips, rows = tiff_pixels.encoded(pixels, file.order, compression)
    directory = _carried(file, job, notes) | _structure(file, job, compression, rows)
    provenance = Entry(ASCII, job.provenance(kernel).encode() + b"\x00")
    directory.setdefault(_SOFTWARE, provenance)
    inner = {number: _inner(file, number, job) for number in file.inner}
    return Result(tags.written(file.order, directory, inner, strips), notes)


def _compression(file: TiffFile, notes: list[str]) -> int:
    was = file.number(tags.COMPRESSION, tiff_pixels.NONE)
    if was in _PACKED_OTHERWISE:
        notes.append(f"the pixels were packed by {_PACKED_OTHERWISE[was]} and are now by Deflate")
    return tiff_pixels.NONE if was == tiff_pixels.NONE else tiff_pixels.DEFLATE


def _structure(file: TiffFile, job: Job, compression: int, rows: int) -> Directory:
    order = file.order
    structure = {
        tags.WIDTH: entry(order, LONG, job.size[0]),
        tags.HEIGHT: entry(order, LONG, job.size[1]),
        tags.COMPRESSION: entry(order, SHORT, compression),
        tags.ROWS_PER_STRIP: entry(order, LONG, rows),
        tags.PLANAR: entry(order, SHORT, 1),
    }
    if compression == tiff_pixels.DEFLATE:
        structure[tags.PREDICTOR] = entry(order, SHORT, 2)
    return structure


def _carried(file: TiffFile, job: Job, notes: list[str]) -> Directory:
    _tell(file, notes)
    kept = {number: one for number, one in file.directory.items() if number not in _OF_OLD_PIXELS}
    for pointer in (tags.EXIF_POINTER, tags.GPS_POINTER):
        kept.pop(pointer, None)
    if _XMP in kept:
        kept[_XMP] = Entry(kept[_XMP].kind, xmp.corrected(kept[_XMP].content, job, notes))
    return kept | _placed(file, job)


def _tell(file: TiffFile, notes: list[str]) -> None:
    told = {
        tags.SUB_DIRECTORIES: "left out: further pictures of the TIFF",
        _NO_DATA: "at the edge of what has no data, its value is mixed with pixels",
        _RPC: "the coefficients of the sensor (RPC) are those of the original's pixels",
    }
    notes += [note for number, note in told.items() if number in file.directory]
    if _MAKER_NOTE in file.inner.get(tags.EXIF_POINTER, {}):
        notes.append("the maker's note was moved; offsets within it are those of the original")


def _placed(file: TiffFile, job: Job) -> Directory:
    """Return the tags that tell where pixels are on the ground, for the new pixels."""
    across, down = (float(one) for one in job.growth)
    shift = 0.5 if _counts_centres(file) else 0.0
    placed: Directory = {}
    for number in (_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION):
        found = file.directory.get(number)
        if found is None or found.kind != DOUBLE:
            continue
        values = np.array(found.numbers(file.order))
        if number == _PIXEL_SCALE and len(values) >= 2:  # noqa: PLR2004 - x and y
            values[:2] /= across, down
        elif number == _TIE_POINTS and len(values) % 6 == 0:
            values[0::6] = (values[0::6] + shift) * across - shift
            values[1::6] = (values[1::6] + shift) * down - shift
        elif number == _TRANSFORMATION and len(values) == 16:  # noqa: PLR2004 - 4 rows of 4
            matrix = values.reshape(4, 4)
            matrix[:, :2] /= across, down
            matrix[:, 3] += matrix[:, 0] * shift * (1 - across) + matrix[:, 1] * shift * (1 - down)
        placed[number] = entry(file.order, DOUBLE, *values)
    return placed


def _counts_centres(file: TiffFile) -> bool:
    """Return whether coordinates are those of the centres of pixels, by the GeoTIFF keys."""
    keys = file.numbers(_GEO_KEYS) if _GEO_KEYS in file.directory else ()
    rows = [keys[at : at + 4] for at in range(4, len(keys) - 3, 4)]
    return any(key == _RASTER_TYPE and not place and value == _IS_POINT for key, place, _, value in rows)


def _inner(file: TiffFile, number: int, job: Job) -> Directory:
    """Return a directory of metadata with its counts of pixels multiplied."""
    directory = {tag: one for tag, one in file.inner[number].items() if tag != tags.INTEROP_POINTER}
    if number != tags.EXIF_POINTER:
        return directory
    for tag, growth in zip((0xA002, 0xA003), job.growth, strict=True):
        if tag in directory and directory[tag].kind in (SHORT, LONG) and directory[tag].count == 1:
            length = directory[tag].numbers(file.order)[0]
            directory[tag] = entry(file.order, LONG, round(length * growth))
    for tag, growth in zip((0xA20E, 0xA20F), job.growth, strict=True):
        if tag in directory and directory[tag].kind == RATIONAL and directory[tag].count == 1:
            directory[tag] = _denser(directory[tag], file.order, growth)
    return directory


def _denser(one: Entry, order: str, growth: Fraction) -> Entry:
    over, under = Entry(LONG, one.content).numbers(order)
    if not (over and under):
        return one
    return Entry(one.kind, entry(order, LONG, *exif.rational(Fraction(over, under) * growth)).content)
