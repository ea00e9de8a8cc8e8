"""What can be learnt of an image file without decoding it: its size, and whether it is all there."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_JPEG_MAGIC: Final = b"\xff\xd8\xff"
_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_TIFF_MAGICS: Final = (b"II*\x00", b"MM\x00*")
_END_OF_IMAGE: Final = b"\xff\xd9"
_START_OF_SCAN: Final = 0xDA
_NO_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_SHORT = 256, 257, 3


class BadImageError(Exception):
    """The file cannot be used as a photo; ``code`` is that of a ``LeftOut``."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def read_size(path: Path) -> tuple[int, int]:
    """Return width and height in pixels as stored, whatever the EXIF orientation.

    Raises:
        BadImageError: ``not_an_image`` or ``truncated``.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            width, height = _size(data)
    except (ValueError, OSError, struct.error) as error:
        raise BadImageError("not_an_image", f"cannot be read as an image: {error}") from error
    if not (width and height):
        raise BadImageError("not_an_image", "has no pixels")
    return width, height


def _size(data: mmap.mmap) -> tuple[int, int]:
    if data[:3] == _JPEG_MAGIC:
        return _jpeg_size(data)
    if data[:8] == _PNG_MAGIC:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:4] in _TIFF_MAGICS:
        return _tiff_size(data)
    raise BadImageError("not_an_image", "is neither JPEG, PNG nor TIFF")


def _jpeg_size(data: mmap.mmap) -> tuple[int, int]:
    """Walk the segments up to the pixels and look for the end mark after them.

    Within compressed pixels 0x00 or a restart mark follows every 0xFF, so the end mark cannot occur there.
    """
    size = (0, 0)
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # noqa: PLR2004 - the byte that starts every JPEG marker
            raise BadImageError("not_an_image", "is a damaged JPEG")
        marker = data[at + 1]
        if marker == 0xFF or marker in _NO_LENGTH:  # noqa: PLR2004 - fill byte
            at += 1 if marker == 0xFF else 2  # noqa: PLR2004
            continue
        if marker in _START_OF_FRAME:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            size = (width, height)
        if marker == _START_OF_SCAN:
            if data.find(_END_OF_IMAGE, at) < 0:
                break
            return size
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise BadImageError("truncated", "ends before its last pixel")


def _tiff_size(data: mmap.mmap) -> tuple[int, int]:
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack(order + "I", data[4:8])
    (entries,) = struct.unpack(order + "H", data[directory : directory + 2])
    found = {}
    for index in range(entries):
        at = directory + 2 + 12 * index
        tag, kind = struct.unpack(order + "HH", data[at : at + 4])
        layout = "H" if kind == _TIFF_SHORT else "I"
        (found[tag],) = struct.unpack_from(order + layout, data, at + 8)
    return found.get(_TIFF_WIDTH, 0), found.get(_TIFF_HEIGHT, 0)
