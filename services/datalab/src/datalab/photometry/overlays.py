"""Pictures of images with the apertures that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from datalab.pictures.encoding import fitted
from datalab.pictures.stretching import levels, sampled, stretched

SIDE_PX: Final = 800
QUALITY: Final = 90
TARGET_BGR: Final = (40, 140, 245)
COMPARISON_BGR: Final = (240, 190, 30)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Overlay:
    """A grey picture of an image on disk, on which apertures are drawn once they are known."""

    path: Path
    scale: float
    """Pixels of the picture by pixels of the image."""
    image_height: int


@dataclass(frozen=True)
class Circle:
    """An aperture, in pixels of the image from 0."""

    x: float
    y: float
    radius: float
    label: str


def keep_picture(pixels: NDArray[Any], folder: Path, basename: str) -> Overlay:
    """Write a grey picture of an image, at most ``SIDE_PX`` wide and high."""
    step = max(1, -(-max(pixels.shape) // (2 * SIDE_PX)))
    few = pixels[::step, ::step]
    shades = fitted(stretched(few, levels(sampled(few)), np.uint8), SIDE_PX)
    path = folder / f"{sha256(basename.encode()).hexdigest()[:16]}-diagnostic.jpg"
    path.write_bytes(_encoded(shades))
    return Overlay(path, shades.shape[1] / pixels.shape[1], pixels.shape[0])


def draw(overlay: Overlay, target: Circle, comparisons: Sequence[Circle]) -> Path:
    """Draw the apertures into the picture, and return where it is."""
    picture = cv2.imread(str(overlay.path), cv2.IMREAD_COLOR)
    assert picture is not None
    for circle in comparisons:
        _circle(picture, overlay, circle, COMPARISON_BGR)
    _circle(picture, overlay, target, TARGET_BGR)
    overlay.path.write_bytes(_encoded(picture))
    return overlay.path


def _circle(picture: NDArray[Any], overlay: Overlay, circle: Circle, colour: tuple[int, int, int]) -> None:
    x = round((circle.x + 0.5) * overlay.scale)
    y = round((overlay.image_height - 0.5 - circle.y) * overlay.scale)
    radius = max(3, round(circle.radius * overlay.scale))
    cv2.circle(picture, (x, y), radius, colour, 1, cv2.LINE_AA)
    cv2.putText(picture, circle.label, (x + radius + 2, y), _FONT, 0.45, colour, 1, cv2.LINE_AA)


def _encoded(picture: NDArray[Any]) -> bytes:
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
