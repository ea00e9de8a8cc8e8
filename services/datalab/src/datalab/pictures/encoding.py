"""JPEG and TIFF. Colours are in the order of OpenCV: blue, green, red."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from datalab.kernels.tiles import Rows
from datalab.pictures.stretching import Levels, levels, sampled, stretched

QUALITY: Final = 95
_JPEG: Final = (cv2.IMWRITE_JPEG_QUALITY, QUALITY)
LARGE_PX: Final = 4096
"""A large picture has the image's own size, but no side above this."""
SMALL_PX: Final = 200


def preview(pixels: Rows, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a large and a small JPEG of an image, stretched by itself; return where they are."""
    return write_pair(stretched(pixels, levels(sampled(pixels)), np.uint8), folder, name)


def write_pair(shades: NDArray[np.uint8], folder: Path, name: str) -> tuple[Path, Path]:
    """Write a large and a small JPEG of shades of grey, or of blue, green and red."""
    large = fitted(shades, LARGE_PX)
    paths = folder / f"{name}-large.jpg", folder / f"{name}-small.jpg"
    for path, picture in zip(paths, (large, fitted(large, SMALL_PX)), strict=True):
        _write(path, picture, _JPEG)
    return paths


def fitted(shades: NDArray[Any], most_px: int) -> NDArray[Any]:
    """Return a picture none of whose sides is above ``most_px``; it is never enlarged."""
    height, width = shades.shape[:2]
    factor = most_px / max(height, width)
    if factor >= 1:
        return shades
    size = max(1, round(width * factor)), max(1, round(height * factor))
    while width > 4 * size[0] and height > 4 * size[1]:
        # halves are made ten times as fast as anything else
        width, height = width // 2, height // 2
        shades = np.asarray(cv2.resize(shades, (width, height), interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.resize(shades, size, interpolation=cv2.INTER_AREA))


def jpeg(shades: NDArray[np.uint8]) -> bytes:
    """Return a JPEG."""
    done, encoded = cv2.imencode(".jpg", shades, _JPEG)
    if not done:
        raise OSError(f"a picture of {shades.shape} cannot be written")
    return encoded.tobytes()


def grey_jpeg(pixels: NDArray[Any], shades: Levels) -> bytes:
    """Return a large JPEG of an image between two levels."""
    return jpeg(fitted(stretched(pixels, shades, np.uint8), LARGE_PX))


def write_tiff(shades: NDArray[Any], path: Path) -> None:
    """Write shades of grey, or of blue, green and red, of 8 or 16 bits.

    Nothing is compressed: of noise, which astronomical images mostly are, no method spares anything.
    """
    _write(path, shades, [cv2.IMWRITE_TIFF_COMPRESSION, 1])


def _write(path: Path, shades: NDArray[Any], options: Sequence[int]) -> None:
    """Write straight into the file: there is no second picture in memory."""
    if not cv2.imwrite(str(path), shades, options):
        raise OSError(f"{path} cannot be written")
