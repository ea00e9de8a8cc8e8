"""The chunks of a WebP file (RFC 9649)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scaler.domain.asks import RejectedError
from scaler.imaging.headers import Header

ICC, ALPHA, EXIF, XMP, ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02
"""Flags of the extended header."""
_LOSSY, _LOSSLESS, _EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
_HEAD_BYTES: Final = 12
_MOST_CHUNKS: Final = 10_000
_LOSSY_START: Final = b"\x9d\x01\x2a"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk and its content."""

    kind: bytes
    content: bytes

    def whole(self) -> bytes:
        """Return it as it stands in a file, padded to an even length."""
        return (
            self.kind
            + len(self.content).to_bytes(4, "little")
            + self.content
            + b"\x00" * (len(self.content) % 2)
        )


@dataclass(slots=True)
class WebpFile:
    """What a file says beside its pixels."""

    is_lossless: bool = False
    flags: int = 0
    metadata: list[Chunk] = field(default_factory=list)
    """ICCP, EXIF, XMP and what is unknown."""
    trailing_bytes: int = 0


def read_header(content: bytes) -> Header:
    """Return size and kind."""
    if content[8:12] != b"WEBP":
        raise RejectedError("not-an-image", "this RIFF file is no WebP")
    for kind, start, end in _chunks(content):
        found = _size(kind, content[start : min(end, start + 32)])
        if found is not None:
            return Header("webp", *found, 4, 8)
    raise RejectedError("corrupt", "the WebP has no pixels")


def read_webp(content: bytes) -> WebpFile:
    """Return the file's chunks, once all of them are seen to be there.

    Raises:
        RejectedError: ``truncated``, ``corrupt``, or ``multi-page`` for an animation.
    """
    file = WebpFile(trailing_bytes=len(content) - _riff_end(content))
    pictures = []
    for kind, start, end in _chunks(content):
        if kind in (_LOSSY, _LOSSLESS):
            pictures.append((kind, _size(kind, content[start : start + 32])))
        elif kind == _EXTENDED:
            file.flags, canvas = content[start], _size(kind, content[start:end])
            pictures.append((kind, canvas))
        elif kind not in (b"ALPH", b"ANIM", b"ANMF"):
            file.metadata.append(Chunk(kind, content[start:end]))
    if file.flags & ANIMATION:
        raise RejectedError("multi-page", "animated WebPs are not scaled: one picture would be left")
    if not pictures or pictures[-1][0] == _EXTENDED or len({size for _, size in pictures}) > 1:
        raise RejectedError("corrupt", "the WebP's picture is missing, or of another size than told")
    file.is_lossless = pictures[-1][0] == _LOSSLESS
    return file


def _size(kind: bytes, content: bytes) -> tuple[int, int] | None:
    if kind == _EXTENDED and len(content) >= 10:  # noqa: PLR2004 - RFC 9649, 2.7
        return 1 + int.from_bytes(content[4:7], "little"), 1 + int.from_bytes(content[7:10], "little")
    if kind == _LOSSY and content[3:6] == _LOSSY_START and len(content) >= 10:  # noqa: PLR2004
        return tuple(int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (6, 8))  # type: ignore[return-value]
    if kind == _LOSSLESS and content[:1] == b"\x2f" and len(content) >= 5:  # noqa: PLR2004
        bits = int.from_bytes(content[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind in (_EXTENDED, _LOSSY, _LOSSLESS):
        raise RejectedError("corrupt", "the WebP's header is damaged")
    return None


def _riff_end(content: bytes) -> int:
    return 8 + int.from_bytes(content[4:8], "little")


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each chunk, and where its content begins and ends."""
    at, last = _HEAD_BYTES, _riff_end(content)
    if last > len(content):
        raise RejectedError("truncated", "the WebP is shorter than it tells")
    for _ in range(_MOST_CHUNKS):
        if at + 8 > last:
            return
        end = at + 8 + int.from_bytes(content[at + 4 : at + 8], "little")
        if end > last:
            raise RejectedError("corrupt", "a chunk of the WebP does not fit into it")
        yield content[at : at + 4], at + 8, end
        at = end + end % 2
    raise RejectedError("corrupt", "the WebP has too many chunks")
