"""Distinct points of a photo, described so that they can be found again in another.

SIFT with RootSIFT descriptors (Arandjelovic and Zisserman 2012), kept by scale rather than by contrast: the
points of highest contrast are leaves and pebbles that look different from the next camera position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from .cache import ArrayCache, photo_key
from .decoding import decode
from .image_header import BadImageError
from .models import LeftOut
from .parallel import map_threads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .models import Photo, Progress
    from .options import EngineOptions

_FORMAT: Final = "features-1"
_GRID: Final = 8
_CONTRAST: Final = 0.006
_DESCRIPTOR_SCALE: Final = 512.0
_COLOR_SHRINK: Final = 4


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one photo, ordered so that the first are the largest and evenly spread."""

    points: NDArray[np.float32]
    """(n, 2) offset from the image centre, x right, y down, over the longer side."""
    descriptors: NDArray[np.uint8]
    """(n, 128)."""
    colors: NDArray[np.uint8]
    """(n, 3) RGB."""
    sharpness: float
    """Variance of the Laplacian over that of the grey values: 1 for a sharp photo, 0.02 for a blurred one."""


def extract_all(
    photos: Sequence[Photo], work_dir: Path, options: EngineOptions, progress: Progress
) -> tuple[list[Photo], list[Features], list[LeftOut]]:
    """Return the photos that could be decoded with their features, and the others."""
    cache = ArrayCache(work_dir / "features")

    def extract(photo: Photo) -> Features | LeftOut:
        try:
            return _extract_cached(photo, cache, options)
        except BadImageError as error:
            return LeftOut(photo.name, error.code, error.reason)

    found = map_threads(
        extract, photos, options.max_concurrency, lambda share: progress("features", 2 + 28 * share)
    )
    pairs = [(photo, one) for photo, one in zip(photos, found, strict=True) if isinstance(one, Features)]
    left_out = [one for one in found if isinstance(one, LeftOut)]
    points = sum(len(one.points) for _, one in pairs)
    progress("features", 30.0, f"{points} features found in {len(pairs)} photos")
    return [photo for photo, _ in pairs], [one for _, one in pairs], left_out


def _extract_cached(photo: Photo, cache: ArrayCache, options: EngineOptions) -> Features:
    key = photo_key(photo, _FORMAT, options.longer_side_px, options.features_per_photo)
    stored = cache.load(key)
    if stored is not None:
        return Features(stored["points"], stored["descriptors"], stored["colors"], float(stored["sharpness"]))
    features = extract_features(photo, options.longer_side_px, options.features_per_photo)
    cache.store(
        key,
        {
            "points": features.points,
            "descriptors": features.descriptors,
            "colors": features.colors,
            "sharpness": np.array(features.sharpness),
        },
    )
    return features


def extract_features(photo: Photo, longer_side_px: int, count: int) -> Features:
    """Find at most ``count`` features in the photo, looked at in the size of ``longer_side_px``.

    Raises:
        BadImageError: The pixels cannot be decoded.
    """
    image = decode_reduced(photo, longer_side_px)
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    sift = cv2.SIFT_create(  # type: ignore[attr-defined]  # OpenCV 5 leaves it out of its stub
        contrastThreshold=_CONTRAST, enable_precise_upscale=True
    )
    found = sift.detect(grey, None)
    places = np.array([point.pt for point in found], np.float32).reshape(-1, 2) + np.float32(0.5)
    sizes = np.array([point.size for point in found], np.float32)
    order = rank_by_scale(places, sizes, (grey.shape[1], grey.shape[0]), count)
    # SIFT may drop points while it describes them, so their places are read again.
    kept, raw = sift.compute(grey, [found[index] for index in order])
    places = np.array([point.pt for point in kept], np.float32).reshape(-1, 2) + np.float32(0.5)
    half = np.array([grey.shape[1], grey.shape[0]], np.float32) / 2
    return Features(
        points=((places - half) / max(grey.shape)).astype(np.float32),
        descriptors=_root_sift(raw),
        colors=_colors_at(image, places),
        sharpness=_sharpness(grey),
    )


def decode_reduced(photo: Photo, longer_side_px: int) -> NDArray[np.uint8]:
    """Return the photo in BGR as stored, shrunk so that its longer side is ``longer_side_px`` at most."""
    longer = max(photo.width, photo.height)
    decoded = decode(photo.path, longer / longer_side_px)
    if decoded is None:
        raise BadImageError("not_an_image", "cannot be decoded")
    image, _ = decoded
    scale = min(1.0, longer_side_px / longer)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    if (image.shape[1], image.shape[0]) != size:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return image


def rank_by_scale(
    places: NDArray[np.float32], sizes: NDArray[np.float32], image_size: tuple[int, int], count: int
) -> NDArray[np.int64]:
    """Return indices of ``count`` points: round by round the next largest of each cell of an 8 x 8 grid."""
    if not len(places):
        return np.zeros(0, np.int64)
    cells = np.clip((places / np.array(image_size, np.float32) * _GRID).astype(int), 0, _GRID - 1)
    cell = cells[:, 0] + _GRID * cells[:, 1]
    by_cell = np.lexsort((-sizes, cell))
    starts = np.searchsorted(cell[by_cell], np.arange(_GRID * _GRID))
    rank = np.empty(len(places), np.int64)
    rank[by_cell] = np.arange(len(places)) - starts[cell[by_cell]]
    return np.lexsort((-sizes, rank))[:count]


def _root_sift(raw: NDArray[np.float32] | None) -> NDArray[np.uint8]:
    if raw is None:
        return np.zeros((0, 128), np.uint8)
    shares = raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-6)
    return np.asarray(np.minimum(np.sqrt(shares) * _DESCRIPTOR_SCALE, 255), np.uint8)


def _colors_at(image: NDArray[np.uint8], places: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return RGB at ``places``, averaged over 4 x 4 pixels so that one leaf does not speak for its tree."""
    rows, columns = -(-image.shape[0] // _COLOR_SHRINK), -(-image.shape[1] // _COLOR_SHRINK)
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    column = np.clip((places[:, 0] / _COLOR_SHRINK).astype(int), 0, columns - 1)
    row = np.clip((places[:, 1] / _COLOR_SHRINK).astype(int), 0, rows - 1)
    return np.ascontiguousarray(small[row, column, ::-1], np.uint8)


def _sharpness(grey: NDArray[np.uint8]) -> float:
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / max(float(grey.var()), 1.0))
