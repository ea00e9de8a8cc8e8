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
_MOST_PATCHES = 400
_LEAST_CORRELATION = 0.6
_KEEP_OFF_M = 1.0
"""Distance from houses and trees: their edges are not where the ground is."""

Grey = NDArray[np.uint8]


def find_shifts(truth: Truth, result: DatasetReader, search_m: float) -> Floats:
    """Return by how much patches of bare ground are displaced in ``result``: (n, 2) metres east, north."""
    pixel_m = float(result.transform.a)
    search_px = int(np.ceil(search_m / pixel_m)) + 1
    original = _on_grid_of(truth, result)
    grey = _grey(result.read([1, 2, 3]))
    valid = result.dataset_mask().astype(bool)
    shifts = []
    for row, column in _patch_corners(truth, result, search_px):
        patch = original[row : row + _PATCH_PX, column : column + _PATCH_PX]
        around = (
            slice(row - search_px, row + _PATCH_PX + search_px),
            slice(column - search_px, column + _PATCH_PX + search_px),
        )
        peak = _find(patch, grey[around]) if valid[around].all() else None
        if peak is not None:
            shifts.append((np.array(peak) - search_px) * [pixel_m, -pixel_m])
    return np.array(shifts).reshape(-1, 2)


def _on_grid_of(truth: Truth, result: DatasetReader) -> Grey:
    """Return the true orthophoto in the pixels of ``result``."""
    with rasterio.open(truth.orthophoto_path) as source:
        grey, transform = _grey(source.read()), source.transform
    coarser = result.transform.a / transform.a
    if coarser > 1:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.4 * coarser), np.uint8)
    # Half a pixel each way: rasterio counts from the corner of a pixel, OpenCV from its centre.
    center = Affine.translation(0.5, 0.5)
    to_source = ~center * ~transform * result.transform * center
    matrix = np.array(to_source[:6], np.float64).reshape(2, 3)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(grey, matrix, (result.width, result.height), flags=flags), np.uint8)


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
    corner = [*truth.origin[:2], grid.west_m, grid.north_m]
    to_grid = ~Affine(grid.cell_m, 0, corner[0], 0, -grid.cell_m, corner[1]) * result.transform
    matrix = np.array(to_grid[:6], np.float64).reshape(2, 3)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(bare, matrix, (result.width, result.height), flags=flags)) > 0


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
