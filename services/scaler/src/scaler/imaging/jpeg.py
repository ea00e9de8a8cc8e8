"""JPEG: strict decode, resize, encode, and the source's segments in front."""

from __future__ import annotations

from typing import Any

import simplejpeg
from numpy.typing import NDArray

from scaler.domain.asks import RejectedError
from scaler.imaging import planes, turbo
from scaler.imaging.job import Job, Result
from scaler.imaging.jpeg_file import SOI, JpegFile, head_bytes, read_jpeg
from scaler.imaging.jpeg_metadata import carried
from scaler.imaging.jpeg_quality import quality_of
from scaler.imaging.resizing import kernel_of, resized


def scaled(job: Job) -> Result:
    """Return the JPEG scaled, with the quality and subsampling of its source unless others are asked for."""
    file = read_jpeg(job.content)
    quality = job.asks.quality or quality_of(file)
    notes: list[str] = []
    encoded = _encoded(job, file, quality)
    head = carried(file, job, kernel_of(job.asks), notes)
    return Result(b"".join((SOI, head, memoryview(encoded)[head_bytes(encoded) :])), notes)


def _encoded(job: Job, file: JpegFile, quality: int) -> bytes:
    kernel = kernel_of(job.asks)
    if turbo.serves(job, file) and (encoded := turbo.encoded(job, kernel, quality)) is not None:
        return encoded
    if len(file.components) == 1:
        grey = resized(_decoded(job.content, "GRAY"), job.size, kernel)
        return bytes(simplejpeg.encode_jpeg(grey.reshape(*grey.shape[:2], 1), quality, "GRAY", "Gray"))
    subsampling = job.asks.subsampling or file.subsampling or "444"
    if planes.fit(job.size, job.asks.factor, subsampling):
        return planes.encoded(_decoded(job.content, "BGR"), job.size, kernel, quality, subsampling)
    pixels = resized(_decoded(job.content, "BGR"), job.size, kernel)
    return bytes(simplejpeg.encode_jpeg(pixels, quality, "BGR", subsampling))


def _decoded(content: bytes, colours: str) -> NDArray[Any]:
    try:
        pixels: NDArray[Any] = simplejpeg.decode_jpeg(content, colours, strict=True)
    except ValueError as error:
        code = "truncated" if "premature end of jpeg file" in str(error).lower() else "corrupt"
        raise RejectedError(code, f"the JPEG cannot be decoded: {error}") from error
    return pixels
