"""WebP: decode, resize, encode, and the source's metadata in an extended file."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from scaler.domain.asks import RejectedError
from scaler.imaging import exif, xmp
from scaler.imaging.job import Job, Result
from scaler.imaging.resizing import kernel_of, resized
from scaler.imaging.webp_file import ALPHA, EXIF, ICC, XMP, Chunk, WebpFile, read_webp

_LOSSLESS: Final = 101
"""What OpenCV takes as the quality of a lossless picture."""
_QUALITY: Final = 90
_FLAGS: Final = {b"ICCP": ICC, b"EXIF": EXIF, b"XMP ": XMP}


def scaled(job: Job) -> Result:
    """Return the WebP scaled: a lossless one lossless, another with the quality asked for, or 90."""
    file = read_webp(job.content)
    pixels = cv2.imdecode(np.frombuffer(job.content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (job.header.height, job.header.width):
        raise RejectedError("corrupt", "the WebP's pixels are damaged")
    larger = resized(pixels, job.size, kernel_of(job.asks))
    quality = _LOSSLESS if file.is_lossless else job.asks.quality or _QUALITY
    done, encoded = cv2.imencode(".webp", larger, [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert done
    notes: list[str] = []
    if not file.is_lossless and job.asks.quality is None:
        notes.append(f"a WebP does not tell its quality; it is {_QUALITY} now")
    if file.trailing_bytes:
        notes.append(f"left out: {file.trailing_bytes} bytes behind the image")
    return Result(_assembled(encoded.tobytes(), file, job, notes), notes)


def _assembled(encoded: bytes, file: WebpFile, job: Job, notes: list[str]) -> bytes:
    """Return the encoder's file with the metadata where the format wants them."""
    if not file.metadata:
        return encoded
    metadata = [_corrected(one, job, notes) for one in file.metadata]
    pictures, has_alpha = _pictures(encoded)
    flags = sum({_FLAGS[one.kind] for one in metadata if one.kind in _FLAGS}) | (ALPHA if has_alpha else 0)
    canvas = b"".join((side - 1).to_bytes(3, "little") for side in job.size)
    profile = [one for one in metadata if one.kind == b"ICCP"]
    others = [one for one in metadata if one.kind != b"ICCP"]
    extended = Chunk(b"VP8X", bytes((flags, 0, 0, 0)) + canvas)
    chunks = [extended, *profile, *pictures, *others]
    body = b"WEBP" + b"".join(one.whole() for one in chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _pictures(encoded: bytes) -> tuple[list[Chunk], bool]:
    """Return the chunks of a picture, and whether it is transparent."""
    chunks, at = [], 12
    while at < len(encoded):
        size = int.from_bytes(encoded[at + 4 : at + 8], "little")
        chunks.append(Chunk(encoded[at : at + 4], encoded[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    transparent = any(
        one.kind == b"ALPH" or (one.kind == b"VP8L" and one.content[4] & 0x10) for one in chunks
    )
    return [one for one in chunks if one.kind in (b"ALPH", b"VP8 ", b"VP8L")], transparent


def _corrected(chunk: Chunk, job: Job, notes: list[str]) -> Chunk:
    if chunk.kind == b"EXIF":
        head = b"Exif\x00\x00" if chunk.content.startswith(b"Exif\x00\x00") else b""
        return Chunk(chunk.kind, head + exif.corrected(chunk.content[len(head) :], job, notes))
    if chunk.kind == b"XMP ":
        return Chunk(chunk.kind, xmp.corrected(chunk.content, job, notes))
    return chunk
