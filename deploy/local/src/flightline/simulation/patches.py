"""Displacement of an orthophoto, measured by finding patches of the true one in it."""

from __future__ import annotations

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.io import DatasetReader

from flightline.simulation.truth import Truth
from odm_gateway.orthophoto.models import Floats

_PATCH_PX = 48
_MOST_PATCHES = 2000
_LEAST_CORRELATION = 0.7
_KEEP_OFF_M = 1.0
"""Distance from houses and trees: their edges are not where the ground is."""

Grey = NDArray[np.uint8]


def find_shifts(truth: Truth, result: DatasetReader, search_m: float) -> tuple[Floats, Floats]:
    """Find patches of bare ground in ``result``.

    Returns:
        Where they are, (n, 2) metres from the result's corner, and how far they are displaced, (n, 2) metres;
        both east, north.
    """
    pixel_m = float(result.transform.a)
    search_px = int(np.ceil(search_m / pixel_m)) + 1
    original = _on_grid_of(truth, result)
    grey = _grey(result.read([1, 2, 3]))
    valid = result.dataset_mask().astype(bool)
    places, shifts = [], []
    for row, column in _patch_corners(truth, result, search_px):
        patch = original[row : row + _PATCH_PX, column : column + _PATCH_PX]
        around = (
            slice(row - search_px, row + _PATCH_PX + search_px),
            slice(column - search_px, column + _PATCH_PX + search_px),
        )
        peak = _find(patch, grey[around]) if valid[around].all() else None
        if peak is not None:
            places.append((column, row))
            shifts.append((peak[0] - search_px, peak[1] - search_px))
    metres = np.array([pixel_m, -pixel_m])
    return np.reshape(places, (-1, 2)) * metres, np.reshape(shifts, (-1, 2)) * metres


def _on_grid_of(truth: Truth, result: DatasetReader) -> Grey:
    """Return the true orthophoto in the pixels of ``result``."""
    with rasterio.open(truth.orthophoto_path) as source:
        grey, transform = _grey(source.read()), source.transform
    coarser = result.transform.a / transform.a
    if coarser > 1:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.4 * coarser), np.uint8)
    return np.asarray(_resampled(grey, transform, result, cv2.INTER_LINEAR), np.uint8)


def _resampled(
    image: NDArray[np.uint8], transform: Affine, result: DatasetReader, interpolation: int
) -> NDArray[np.uint8]:
    """Return ``image``, whose pixels lie as ``transform`` says, in the pixels of ``result``."""
    to_world, from_world = (np.array(t, np.float64).reshape(3, 3) for t in (result.transform, ~transform))
    # rasterio counts from the corner of a pixel, OpenCV from its centre.
    center = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = np.linalg.inv(center) @ from_world @ to_world @ center
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, matrix[:2], (result.width, result.height), flags=flags))


def _grey(bands: NDArray[np.uint8]) -> Grey:
    return np.asarray(cv2.cvtColor(np.moveaxis(bands, 0, -1), cv2.COLOR_RGB2GRAY), np.uint8)


def _patch_corners(truth: Truth, result: DatasetReader, search_px: int) -> list[tuple[int, int]]:
    """Return row and column of the first pixel of patches that show nothing but ground."""
    bare = _bare_ground(truth, result)
    last_row, last_column = (side - _PATCH_PX - search_px for side in (result.height, result.width))
    stride = max(_PATCH_PX // 2, int((result.height * result.width / _MOST_PATCHES) ** 0.5))
    return [
        (row, column)
        for row in range(search_px, last_row, stride)
        for column in range(search_px, last_column, stride)
        if bare[row + _PATCH_PX // 2, column + _PATCH_PX // 2]
    ]


def _bare_ground(truth: Truth, result: DatasetReader) -> NDArray[np.bool_]:
    """Return, in the pixels of ``result``, whether a patch around would touch neither house nor tree."""
    surface = truth.surface()
    grid = surface.grid
    reach = int(np.ceil((_PATCH_PX / 2 * result.transform.a + _KEEP_OFF_M) / grid.cell_m))
    bare = cv2.erode(surface.ground.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8))
    west_m, north_m = grid.west_m + truth.origin[0], grid.north_m + truth.origin[1]
    transform = Affine(grid.cell_m, 0, west_m, 0, -grid.cell_m, north_m)
    return _resampled(np.asarray(bare, np.uint8), transform, result, cv2.INTER_NEAREST) > 0


def _find(patch: Grey, around: Grey) -> tuple[float, float] | None:
    """Return column and row of the best place of ``patch``, to a fraction, or ``None`` if it is not there."""
    score = cv2.matchTemplate(around, patch, cv2.TM_CCOEFF_NORMED)
    _, best, _, (column, row) = cv2.minMaxLoc(score)
    inside = 0 < column < score.shape[1] - 1 and 0 < row < score.shape[0] - 1
    if best < _LEAST_CORRELATION or not inside:
        return None
    return (
        column + _summit(*score[row, column - 1 : column + 2].tolist()),
        row + _summit(*score[row - 1 : row + 2, column].tolist()),
    )


def _summit(before: float, middle: float, after: float) -> float:
    """Return where the parabola through three values a pixel apart has its top, from the middle."""
    bend = before - 2 * middle + after
    return 0.0 if bend == 0 else 0.5 * (before - after) / bend
