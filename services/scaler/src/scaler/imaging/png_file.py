"""The chunks of a PNG file (W3C PNG, third edition)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scaler.domain.asks import RejectedError
from scaler.imaging.headers import Header

MAGIC: Final = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
_CHANNELS: Final = {GREY: 1, RGB: 3, PALETTE: 3, GREY_ALPHA: 2, RGBA: 4}
_DEPTHS: Final = {
    GREY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    RGBA: (8, 16),
}
_IHDR_BYTES: Final = 13
_MOST_CHUNKS: Final = 1_000_000
"""There are writers that make one of every few kilobytes of pixels."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk and its content."""

    kind: bytes
    content: bytes

    def whole(self) -> bytes:
        """Return it as it stands in a file."""
        checked = self.kind + self.content
        return len(self.content).to_bytes(4) + checked + zlib.crc32(checked).to_bytes(4)


@dataclass(slots=True)
class PngFile:
    """What a file says beside its pixels."""

    colour: int = 0
    bits: int = 0
    before: list[Chunk] = field(default_factory=list)
    """Chunks between IHDR and the pixels."""
    after: list[Chunk] = field(default_factory=list)
    trailing_bytes: int = 0

    @property
    def is_transparent_by_key(self) -> bool:
        """Return whether a palette or a colour says what is transparent."""
        return any(one.kind == b"tRNS" for one in self.before)


def read_header(content: bytes) -> Header:
    """Return size and kind, by the first chunk."""
    if len(content) < len(MAGIC) + 12 + _IHDR_BYTES:
        raise RejectedError("truncated", "the PNG ends within its header")
    if content[8:16] != _IHDR_BYTES.to_bytes(4) + b"IHDR":
        raise RejectedError("corrupt", "the PNG does not begin with its header")
    if zlib.crc32(content[12:29]) != int.from_bytes(content[29:33]):
        raise RejectedError("corrupt", "the PNG's header is damaged")
    bits, colour = content[24], content[25]
    if bits not in _DEPTHS.get(colour, ()):
        raise RejectedError("corrupt", f"the PNG has {bits} bits of colour type {colour}, which there is not")
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    return Header("png", width, height, max(_CHANNELS[colour], 1), 16 if bits == 16 else 8)  # noqa: PLR2004


def read_png(content: bytes) -> PngFile:
    """Return the file's chunks, once the check sums of all of them are seen to be right.

    Raises:
        RejectedError: ``truncated``, ``corrupt``, or ``multi-page`` for an animation.
    """
    file = PngFile(bits=content[24], colour=content[25])
    has_pixels = False
    for chunk in _chunks(content, file):
        if chunk.kind == b"acTL":
            raise RejectedError("multi-page", "animated PNGs are not scaled: one picture would be left")
        if chunk.kind == b"IDAT":
            has_pixels = True
        elif chunk.kind not in (b"IHDR", b"IEND"):
            (file.after if has_pixels else file.before).append(chunk)
    if not has_pixels:
        raise RejectedError("corrupt", "the PNG has no pixels")
    return file


def _chunks(content: bytes, file: PngFile) -> Iterator[Chunk]:
    at, view = len(MAGIC), memoryview(content)
    for _ in range(_MOST_CHUNKS):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        if end > len(content):
            raise RejectedError("truncated", "the PNG ends before its last chunk")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end]):
            raise RejectedError("corrupt", f"the PNG's chunk at byte {at} has another check sum")
        kind = content[at + 4 : at + 8]
        yield Chunk(kind, b"" if kind == b"IDAT" else content[at + 8 : end - 4])
        at = end
        if kind == b"IEND":
            file.trailing_bytes = len(content) - end
            return
    raise RejectedError("corrupt", "the PNG has too many chunks")
