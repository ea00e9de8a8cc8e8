"""What is in files: bytes of the disk, bytes that were written, and bytes made up as they are read."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHUNK_BYTES = 1 << 20
_GREY = base64.b85decode(  # a whole JPEG of 8 x 8 pixels
    "|JeWF01!$>Nk#wx0RR9200961|JwjV01yid4h#wq4h;?x5fBp?C>j_R78o%jB^@X_Gd(;xGdMRuNL)@pL{~*OI8bd-S6^ahXlFi6ad~i"
    "LcwA*?WB<Sa3kU!R00;pA5di<h02BZL00000000000000000000|HJ?k5CH%H0000000000000000095m00;pA002J#KmXY"
)
_START, _REST = _GREY[:2], _GREY[2:]
_LONGEST_COMMENT = 65_533


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A file of this machine."""

    path: Path
    size_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """Read the file, to its end at the time of reading."""
        with self.path.open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes in memory."""

    data: bytes = field(repr=False)

    @property
    def size_bytes(self) -> int:
        """Return how many there are."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Return the bytes piece by piece."""
        for start in range(0, len(self.data), CHUNK_BYTES):
            yield self.data[start : start + CHUNK_BYTES]


@dataclass(frozen=True, slots=True)
class MadeUp:
    """Bytes that follow from ``seed``: of an image, a JPEG which decoders accept whatever its size."""

    seed: str
    size_bytes: int
    is_jpeg: bool = True

    def chunks(self) -> Iterator[bytes]:
        """Make the bytes, piece by piece."""
        block = hashlib.shake_128(self.seed.encode()).digest(_LONGEST_COMMENT)
        filler_bytes = self.size_bytes - len(_GREY)
        if self.is_jpeg and filler_bytes >= 0:
            return _batched(_jpeg(block, filler_bytes))
        return _batched(_noise(block, self.size_bytes))


Content = OnDisk | Written | MadeUp


def _jpeg(block: bytes, filler_bytes: int) -> Iterator[bytes]:
    """Put comments between the start and the rest of a small image."""
    yield _START
    while filler_bytes >= 4:  # noqa: PLR2004 - a marker and a length
        payload_bytes = min(filler_bytes - 4, _LONGEST_COMMENT)
        count = (filler_bytes % (1 << 64)).to_bytes(8, "big")  # so that no two comments are alike
        yield b"\xff\xfe" + (payload_bytes + 2).to_bytes(2, "big") + (count + block)[:payload_bytes]
        filler_bytes -= payload_bytes + 4
    yield b"\xff" * filler_bytes + _REST  # fill bytes may stand before any marker


def _noise(block: bytes, left_bytes: int) -> Iterator[bytes]:
    while left_bytes > 0:
        yield block[:left_bytes]
        left_bytes -= len(block)


def _batched(pieces: Iterator[bytes]) -> Iterator[bytes]:
    batch = bytearray()
    for piece in pieces:
        batch += piece
        if len(batch) >= CHUNK_BYTES:
            yield bytes(batch)
            batch.clear()
    if batch:
        yield bytes(batch)
