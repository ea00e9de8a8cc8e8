"""The directories of a TIFF file (TIFF 6.0), read and written."""

from __future__ import annotations

import struct
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from scaler.domain.asks import RejectedError
from scaler.imaging.headers import Header

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 266, 273, 277, 278, 279
PLANAR, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 284, 317, 322, 323, 324, 325
SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT = 330, 338, 339
EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 34665, 34853, 40965
ASCII, SHORT, LONG, RATIONAL, DOUBLE = 2, 3, 4, 5, 12

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_LAYOUTS: Final = {1: "B", 3: "H", 4: "I", 12: "d", 13: "I"}
_OF_HEADER: Final = frozenset({WIDTH, HEIGHT, BITS, SAMPLES})
_MOST_ENTRIES: Final = 4096
_MOST_BYTES: Final = 0xFFFFFFFF
_GREYS, _RGB = (0, 1), 2
_PHOTOMETRIC_NAMES: Final = {3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "Lab", 32803: "raw sensor"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A tag's type and value, in the byte order of its file."""

    kind: int
    content: bytes

    @property
    def count(self) -> int:
        """Return how many values there are."""
        return len(self.content) // _SIZES[self.kind]

    def numbers(self, order: str) -> tuple[Any, ...]:
        """Return the values of a numeric tag."""
        layout = _LAYOUTS.get(self.kind)
        if layout is None:
            raise RejectedError("corrupt", f"the TIFF has a tag of type {self.kind} where numbers must be")
        return struct.unpack(f"{order}{self.count}{layout}", self.content)


Directory = dict[int, Entry]


def entry(order: str, kind: int, *values: float) -> Entry:
    """Return a tag of numbers."""
    return Entry(kind, struct.pack(f"{order}{len(values)}{_LAYOUTS[kind]}", *values))


@dataclass(slots=True)
class TiffFile:
    """The one image of a file."""

    order: str
    directory: Directory
    inner: dict[int, Directory] = field(default_factory=dict)
    """Directories that hang on the first, by the number of the tag that points to them."""

    def number(self, tag: int, default: int) -> int:
        """Return the first value of a tag."""
        return next(iter(self.numbers(tag)), default)

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return all values of a tag of whole numbers."""
        found = self.directory.get(tag)
        if found is not None and found.kind == DOUBLE:
            raise RejectedError("corrupt", f"the TIFF's tag {tag} has fractions where there must be none")
        return found.numbers(self.order) if found else ()


def read_header(content: bytes) -> Header:
    """Return size and kind, by the first directory."""
    file, _ = _first(content, _OF_HEADER)
    return Header("tiff", file.number(WIDTH, 0), file.number(HEIGHT, 0), file.number(SAMPLES, 1), _bits(file))


def read_tiff(content: bytes) -> TiffFile:
    """Return the file's directories.

    Raises:
        RejectedError: ``truncated``, ``corrupt``, ``multi-page``, or ``unsupported``.
    """
    file, following = _first(content)
    if following:
        raise RejectedError("multi-page", "TIFFs of several pages are not scaled: one would be left")
    _check_kind(file)
    for pointer in (EXIF_POINTER, GPS_POINTER):
        if pointer in file.directory:
            file.inner[pointer] = _inner(content, file, pointer)
    return file


def _first(content: bytes, only: Container[int] | None = None) -> tuple[TiffFile, int]:
    if content[2:4] in (b"+\x00", b"\x00+"):
        raise RejectedError("unsupported", "BigTIFFs are not scaled")
    order = "<" if content[:2] == b"II" else ">"
    if len(content) < 8:  # noqa: PLR2004 - the header
        raise RejectedError("truncated", "the TIFF ends within its header")
    (at,) = struct.unpack_from(order + "I", content, 4)
    directory, following = read_directory(content, order, at, only)
    return TiffFile(order, directory), following


def read_directory(
    content: bytes, order: str, at: int, only: Container[int] | None = None
) -> tuple[Directory, int]:
    """Return the directory at an offset, and the offset of the following one.

    Args:
        content: The file.
        order: Of its bytes.
        at: Where the directory is.
        only: Which tags are wanted; None: all.

    Raises:
        RejectedError: It, or a value, lies outside the file, or values on each other.
    """
    try:
        (count,) = struct.unpack_from(order + "H", content, at)
        if not 0 < count <= _MOST_ENTRIES:
            raise RejectedError("corrupt", f"the TIFF has a directory of {count} entries")
        (following,) = struct.unpack_from(order + "I", content, at + 2 + 12 * count)
        directory: Directory = {}
        values_bytes = 0
        for entry_at in range(at + 2, at + 2 + 12 * count, 12):
            (number,) = struct.unpack_from(order + "H", content, entry_at)
            one = _entry(content, order, entry_at) if only is None or number in only else None
            if one is not None:
                directory[number] = one
                values_bytes += len(one.content)
            if values_bytes > len(content):
                raise RejectedError("corrupt", "values of the TIFF lie on each other")
    except struct.error as error:
        raise RejectedError("truncated", "the TIFF ends before its directory") from error
    return directory, following


def _entry(content: bytes, order: str, at: int) -> Entry | None:
    number, kind, count = struct.unpack_from(order + "HHI", content, at)
    if kind not in _SIZES:
        return None  # as readers must: skip what is of an unknown type
    size = _SIZES[kind] * count
    start = at + 8 if size <= 4 else struct.unpack_from(order + "I", content, at + 8)[0]  # noqa: PLR2004
    if start + size > len(content):
        raise RejectedError("truncated", f"the TIFF's tag {number} lies behind its end")
    return Entry(kind, content[start : start + size])


def _inner(content: bytes, file: TiffFile, pointer: int) -> Directory:
    """Return a directory of metadata; a broken one is empty, for pixels do not depend on it."""
    try:
        return read_directory(content, file.order, file.number(pointer, 0))[0]
    except RejectedError:
        return {}


def _bits(file: TiffFile) -> int:
    return max(file.numbers(BITS) or (1,))


def _check_kind(file: TiffFile) -> None:
    bits, formats = set(file.numbers(BITS) or (1,)), set(file.numbers(SAMPLE_FORMAT) or (1,))
    photometric, samples = file.number(PHOTOMETRIC, -1), file.number(SAMPLES, 1)
    if formats != {1}:
        raise RejectedError("unsupported", "TIFFs of signed or floating point numbers are not scaled")
    if bits not in ({8}, {16}):
        told = ", ".join(map(str, sorted(bits)))
        raise RejectedError("unsupported", f"TIFFs with {told} bits a channel are not scaled")
    if photometric not in (*_GREYS, _RGB):
        name = _PHOTOMETRIC_NAMES.get(photometric, f"photometric {photometric}")
        raise RejectedError("unsupported", f"{name} TIFFs are not scaled")
    if samples < (3 if photometric == _RGB else 1):
        raise RejectedError("corrupt", f"the TIFF has {samples} channels, too few for its colours")
    if file.number(FILL_ORDER, 1) != 1:
        raise RejectedError("unsupported", "TIFFs with bits in reverse are not scaled")


def written(order: str, directory: Directory, inner: Mapping[int, Directory], strips: list[bytes]) -> bytes:
    """Return a file of strips and their directory, whose tags of offsets and sizes are filled in.

    Raises:
        RejectedError: It would be longer than the format's offsets reach.
    """
    parts = [b"II*\x00" if order == "<" else b"MM\x00*", b"\x00" * 4]
    at = 8
    offsets = []
    for strip in strips:
        offsets.append(at)
        parts += [strip, b"\x00" * (len(strip) % 2)]
        at += len(strip) + len(strip) % 2
    if at > _MOST_BYTES - (1 << 26):
        raise RejectedError("too-large", "the scaled TIFF would be longer than 4 GB")
    directory = directory | {
        STRIP_OFFSETS: entry(order, LONG, *offsets),
        STRIP_BYTES: entry(order, LONG, *map(len, strips)),
    }
    for pointer, inside in inner.items():
        block = _directory(order, inside, at)
        directory[pointer] = entry(order, LONG, at)
        parts.append(block)
        at += len(block)
    parts[1] = struct.pack(order + "I", at)
    return b"".join([*parts, _directory(order, directory, at)])


def _directory(order: str, directory: Directory, at: int) -> bytes:
    entries, values = [struct.pack(order + "H", len(directory))], []
    values_at = at + 2 + 12 * len(directory) + 4
    for number, one in sorted(directory.items()):
        entries.append(struct.pack(order + "HHI", number, one.kind, one.count))
        if len(one.content) <= 4:  # noqa: PLR2004 - the size of an offset
            entries.append(one.content.ljust(4, b"\x00"))
            continue
        entries.append(struct.pack(order + "I", values_at))
        padded = one.content + b"\x00" * (len(one.content) % 2)
        values.append(padded)
        values_at += len(padded)
    return b"".join([*entries, b"\x00" * 4, *values])
