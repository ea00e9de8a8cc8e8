"""PNG: checked chunks, decode, resize, encode, and the source's chunks around the pixels."""

from __future__ import annotations

import zlib
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from scaler.domain.asks import RejectedError
from scaler.imaging import exif, xmp
from scaler.imaging.job import Job, Result
from scaler.imaging.png_file import GREY, GREY_ALPHA, MAGIC, PALETTE, Chunk, PngFile, read_png
from scaler.imaging.resizing import kernel_of, resized

_OF_OLD_PIXELS: Final = frozenset({b"PLTE", b"tRNS", b"hIST", b"sBIT", b"fcTL", b"fdAT"})
"""Chunks that are about the pixels as they were stored: transparency by key is alpha now."""
_KEPT: Final = frozenset(
    {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"sPLT", b"tIME"}
)
"""Chunks that are not marked as safe to copy, yet hold for the scaled pixels."""
_SAFE_TO_COPY: Final = 0x20
_XMP_TEXT: Final = b"XML:com.adobe.xmp\x00\x00\x00"
_PACKED_ROWS_BYTES: Final = 1 << 22
_UP: Final = 2
"""The filter that leaves of each byte the difference to the one above."""


def scaled(job: Job) -> Result:
    """Return the PNG scaled, with its depth; palettes become colours."""
    file = read_png(job.content)
    notes: list[str] = []
    kernel = kernel_of(job.asks)
    pixels = resized(_decoded(job, file), job.size, kernel)
    text = Chunk(b"tEXt", b"Comment\x00" + job.provenance(kernel).encode("latin-1"))
    before = [*_carried(file.before, file, job, notes), text]
    after = _carried(file.after, file, job, notes)
    _tell(file, notes)
    return Result(_assembled(_encoded(pixels), before, after), notes)


def _decoded(job: Job, file: PngFile) -> NDArray[Any]:
    pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(job.content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise RejectedError("corrupt", "the PNG's pixels are damaged")
    if pixels.shape[:2] != (job.header.height, job.header.width):
        raise RejectedError("corrupt", "the PNG has other pixels than its header tells")
    if file.colour == GREY_ALPHA:
        return np.ascontiguousarray(pixels[:, :, [0, 3]])
    if file.colour == GREY and file.is_transparent_by_key:
        return np.dstack([pixels, _alpha(pixels, file)])
    return pixels


def _alpha(pixels: NDArray[Any], file: PngFile) -> NDArray[Any]:
    """Return what OpenCV leaves out: the transparency of one grey."""
    key = int.from_bytes(next(one.content for one in file.before if one.kind == b"tRNS")[:2])
    if file.bits < 8:  # noqa: PLR2004 - they are spread over a byte
        key = key * 255 // ((1 << file.bits) - 1)
    opaque = np.iinfo(pixels.dtype).max
    return np.where(pixels == key, 0, opaque).astype(pixels.dtype)


def _encoded(pixels: NDArray[Any]) -> list[Chunk]:
    """Return IHDR and the chunks of the pixels."""
    if pixels.ndim == 3 and pixels.shape[2] == 2:  # noqa: PLR2004 - grey and alpha, which OpenCV does not write
        return _grey_and_alpha(pixels)
    done, encoded = cv2.imencode(".png", pixels)
    assert done
    content = encoded.tobytes()
    return [one for one in _all_chunks(content) if one.kind in (b"IHDR", b"IDAT")]


def _all_chunks(content: bytes) -> list[Chunk]:
    chunks, at = [], len(MAGIC)
    while at < len(content):
        size = int.from_bytes(content[at : at + 4])
        chunks.append(Chunk(content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    return chunks


def _grey_and_alpha(pixels: NDArray[Any]) -> list[Chunk]:
    height, width = pixels.shape[:2]
    rows = pixels.astype(pixels.dtype.newbyteorder(">"), copy=False).reshape(height, -1).view(np.uint8)
    packer = zlib.compressobj(6)
    packed = bytearray()
    above = np.zeros((1, rows.shape[1]), np.uint8)
    for part in np.array_split(rows, max(1, rows.nbytes // _PACKED_ROWS_BYTES)):
        differences = part - np.concatenate([above, part[:-1]])
        marks = np.full((len(part), 1), _UP, np.uint8)
        packed += packer.compress(np.hstack([marks, differences]).tobytes())
        above = part[-1:]
    packed += packer.flush()
    shape = width.to_bytes(4) + height.to_bytes(4)
    kind = bytes((8 * pixels.dtype.itemsize, GREY_ALPHA, 0, 0, 0))
    return [Chunk(b"IHDR", shape + kind), Chunk(b"IDAT", bytes(packed))]


def _carried(chunks: list[Chunk], file: PngFile, job: Job, notes: list[str]) -> list[Chunk]:
    return [done for one in chunks if (done := _kept(one, file, job, notes)) is not None]


def _kept(chunk: Chunk, file: PngFile, job: Job, notes: list[str]) -> Chunk | None:
    if chunk.kind in _OF_OLD_PIXELS or (chunk.kind == b"bKGD" and file.colour == PALETTE):
        return None
    if chunk.kind == b"eXIf":
        return Chunk(chunk.kind, exif.corrected(chunk.content, job, notes))
    if chunk.kind == b"iTXt" and chunk.content.startswith(_XMP_TEXT):
        return Chunk(chunk.kind, xmp.corrected(chunk.content, job, notes))
    if chunk.kind in _KEPT or chunk.kind[3] & _SAFE_TO_COPY:
        return chunk
    notes.append(
        f"left out: the chunk {chunk.kind.decode('latin-1')}, which holds for the original's pixels only"
    )
    return None


def _tell(file: PngFile, notes: list[str]) -> None:
    if file.colour == PALETTE:
        notes.append("the palette became colours")
    elif file.bits < 8:  # noqa: PLR2004 - bits
        notes.append(f"the {file.bits}-bit greys became 8-bit ones")
    if file.trailing_bytes:
        notes.append(f"left out: {file.trailing_bytes} bytes behind the image")


def _assembled(encoded: list[Chunk], before: list[Chunk], after: list[Chunk]) -> bytes:
    chunks = [*encoded[:1], *before, *encoded[1:], *after, Chunk(b"IEND", b"")]
    return b"".join([MAGIC, *(one.whole() for one in chunks)])
