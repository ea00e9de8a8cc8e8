"""Decoding photos no larger than they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_REDUCED: Final = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
"""Fractions that a JPEG can be decoded at for a fraction of the work."""


def decode(path: Path, shrink: float) -> tuple[NDArray[np.uint8], int] | None:
    """Return the image in BGR, as stored, and how many times smaller it is (1, 2, 4, 8); None if it is none.

    Never more than ``shrink`` times smaller: what is left to shrink is the caller's.
    """
    factor = max(step for step in _REDUCED if step <= max(shrink, 1.0))
    image = cv2.imread(str(path), _REDUCED[factor] | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if image is None else (np.asarray(image, np.uint8), factor)
