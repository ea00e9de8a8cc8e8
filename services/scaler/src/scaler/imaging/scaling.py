"""The way of an image: header, limits, pixels, metadata, and a look at what came out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import cv2

from scaler.domain.asks import Asks, Format, RejectedError, Scaled
from scaler.imaging import jpeg, png, tiff, webp
from scaler.imaging.headers import check_size, read_header
from scaler.imaging.job import Job, Result

_FORMATS: Final[Mapping[Format, Callable[[Job], Result]]] = {
    "jpeg": jpeg.scaled,
    "png": png.scaled,
    "tiff": tiff.scaled,
    "webp": webp.scaled,
}
_NO_MEMORY: Final = -4
"""``StsNoMem`` of OpenCV."""


def scaled(content: bytes, asks: Asks, *, pixels_at_most: int, turbo: bool) -> Scaled:
    """Return the image scaled."""
    header = read_header(content)
    size = check_size(header, asks, pixels_at_most=pixels_at_most)
    job = Job(content, header, asks, size, turbo=turbo)
    try:
        result = _FORMATS[header.format](job)
    except cv2.error as error:
        if error.code == _NO_MEMORY:
            raise MemoryError(str(error)) from error
        raise RejectedError(
            "corrupt", f"the {header.format.upper()} cannot be decoded: {error.err}"
        ) from error
    _check(result.content, job)
    sha256 = hashlib.sha256(result.content).hexdigest()
    return Scaled(result.content, *size, header.format, sha256, tuple(result.notes))


def _check(content: bytes, job: Job) -> None:
    """Look at the scaled image as one would that comes from outside.

    Raises:
        RuntimeError: We wrote something else than we meant to.
    """
    found = read_header(content)
    if (found.format, found.width, found.height) != (job.header.format, *job.size):
        raise RuntimeError(f"a {found.format} of {found.width} x {found.height} pixels was written")
