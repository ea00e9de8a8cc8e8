"""Where the parts of a FITS file are, found before anything is allocated for them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import BinaryIO, Final

from astropy.io.fits import Header, VerifyError

from datalab.operations.operation import OperationError

BLOCK_BYTES: Final = 2880
_CARD_BYTES: Final = 80
_HEADER_AT_MOST_BYTES: Final = 400 * BLOCK_BYTES
_PARTS_AT_MOST: Final = 256
_AXES_AT_MOST: Final = 16
_VALUE: Final = re.compile(
    r" *(?:'((?:[^']|'')*)'|([TF])|([-+]?\d{1,20})|([-+]?(?:\d+\.?\d*|\.\d+)(?:[ED][-+]?\d{1,3})?)|) *(?:/|$)"
)
PIXELS_AT_MOST: Final = 1 << 28
"""Of an image, 16384 x 16384: a larger one is refused by its header."""


@dataclass(frozen=True, slots=True, eq=False)
class Hdu:
    """A header and where its data are."""

    file: str
    """Its name for messages."""
    text: str
    """Of the header."""
    cards: Mapping[str, str]
    """What stands behind each keyword's equals sign."""
    data_start: int
    data_bytes: int

    @property
    def header(self) -> Header:
        """Return the header, parsed.

        Raises:
            OperationError: It is none.
        """
        return parsed(self.text, self.file)

    @property
    def name(self) -> str:
        """Return EXTNAME in capitals; an image in no extension has none."""
        return str(self.value("EXTNAME", "")).strip().upper()

    @property
    def is_packed(self) -> bool:
        """Return whether this is a table that holds an image in compressed tiles."""
        return self.value("ZIMAGE") is True

    @property
    def is_table(self) -> bool:
        """Return whether this is a binary table of its own."""
        return str(self.value("XTENSION", "")).strip() == "BINTABLE" and not self.is_packed

    @property
    def axes(self) -> tuple[int, ...]:
        """Return the sizes of the image, the fastest first, without those of one pixel at the end."""
        start = "Z" if self.is_packed else ""
        if str(self.value("XTENSION", "IMAGE")).strip() != "IMAGE" and not self.is_packed:
            return ()
        axes = [self.whole(f"{start}NAXIS{axis + 1}") for axis in range(self.whole(f"{start}NAXIS", most=16))]
        while len(axes) > 2 and axes[-1] == 1:  # noqa: PLR2004
            axes.pop()
        return tuple(axes) if prod(axes) else ()

    def value(self, key: str, default: object = None) -> object:
        """Return what the header says, without the time that a parsed header takes.

        Raises:
            OperationError: What it says is no FITS.
        """
        text = self.cards.get(key)
        if text is None:
            return default
        matched = _VALUE.match(text)
        if matched is None:
            raise OperationError(f"{self.file} is not readable: its header has no proper {key}")
        string, boolean, whole, real = matched.groups()
        if string is not None:
            return string.replace("''", "'")
        if boolean is not None:
            return boolean == "T"
        if whole is not None:
            return int(whole)
        return float(real.replace("D", "E")) if real else default

    def whole(self, key: str, default: int | None = None, *, least: int = 0, most: int = 1 << 40) -> int:
        """Return a whole number of the header.

        Raises:
            OperationError: It is missing, no whole number, or out of bounds.
        """
        value = self.value(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise OperationError(f"{self.file} is not readable: its header has {key} = {value!r}")
        return value


def scan(file: BinaryIO, name: str) -> list[Hdu]:
    """Return the parts of a FITS file.

    Raises:
        OperationError: It is not FITS, truncated, or declares what cannot be.
    """
    size = os.fstat(file.fileno()).st_size
    parts = list(_parts(file, size, name))
    if not parts:
        raise OperationError(f"{name} is not a FITS file")
    return parts


def _parts(file: BinaryIO, size: int, name: str) -> Iterator[Hdu]:
    start = 0
    for _ in range(_PARTS_AT_MOST):
        content = _header(file, start, name, first=start == 0)
        if content is None:
            return
        text = content.decode("ascii", "replace")
        part = Hdu(name, text, _cards(text), start + len(content), 0)
        needed = _data_bytes(part)
        if part.data_start + needed > size:
            raise OperationError(f"{name} is truncated: it ends before its data do")
        yield Hdu(name, text, part.cards, part.data_start, needed)
        start = part.data_start + -(-needed // BLOCK_BYTES) * BLOCK_BYTES


def _header(file: BinaryIO, start: int, name: str, *, first: bool) -> bytes | None:
    """Return the blocks of a header; None: what is there is none."""
    file.seek(start)
    content = b""
    while len(content) < _HEADER_AT_MOST_BYTES:
        block = file.read(BLOCK_BYTES)
        start_of_one = b"SIMPLE  =" if first else b"XTENSION="
        if not content and (not block or block[: len(start_of_one)] != start_of_one[: len(block)]):
            return None
        if len(block) < BLOCK_BYTES:
            raise OperationError(f"{name} is truncated: it ends within a header")
        content += block
        if any(block[at : at + 8] == b"END     " for at in range(0, BLOCK_BYTES, _CARD_BYTES)):
            return content
    raise OperationError(f"{name} is not readable: a header has no end within {_HEADER_AT_MOST_BYTES} bytes")


def _cards(text: str) -> dict[str, str]:
    cards: dict[str, str] = {}
    for at in range(0, len(text), _CARD_BYTES):
        if text[at + 8 : at + 10] == "= ":
            cards.setdefault(text[at : at + 8].rstrip(), text[at + 10 : at + _CARD_BYTES])
    return cards


def parsed(text: str, name: str) -> Header:
    """Return a header.

    Raises:
        OperationError: It is none.
    """
    try:
        return Header.fromstring(text)
    except (VerifyError, ValueError) as error:
        raise OperationError(f"{name} is not readable: {error}") from error


def _data_bytes(part: Hdu) -> int:
    sizes = [part.whole(f"NAXIS{axis + 1}") for axis in range(part.whole("NAXIS", most=_AXES_AT_MOST))]
    if not sizes:
        return 0
    is_extension = "XTENSION" in part.cards
    count = part.whole("GCOUNT", 1) if is_extension else 1
    further = part.whole("PCOUNT", 0) if is_extension else 0
    return abs(part.whole("BITPIX", least=-64, most=64)) // 8 * count * (further + prod(sizes))
