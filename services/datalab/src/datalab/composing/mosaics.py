"""Images that lie beside each other on the sky, as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datalab.composing.grids import Grid, covering, sky_mapping
from datalab.composing.placing import (
    STRIP_PX,
    Image,
    Placed,
    filters_said,
    opened,
    part_of,
    placed_on_sky,
    strips,
)
from datalab.fits.results import image_result
from datalab.fits.scratch import DiskImage
from datalab.kernels.resampling import LEAST_COVERED, Mapping, pixel_map, positions
from datalab.operations.mosaic import Mosaic, MosaicInputs
from datalab.operations.operation import OperationError, Progress, Results, Work

PIXELS_AT_MOST: Final = 40_000_000
"""Of a mosaic: an image that can still be looked at as a whole."""
_FEATHER: Final = 0.1
"""The part of an image's shorter side in which it fades out."""
_LEAST_WEIGHT: Final = 1e-3
_LOOKS_AT_MOST: Final = 4_000_000
"""Samples of all images from which their levels are compared."""
_FINEST_LOOK_PX: Final = 4
_LEAST_COMMON: Final = 16


def mosaicked(inputs: MosaicInputs, work: Work) -> Results:
    """Compute what was asked for.

    Raises:
        OperationError: An input is no image, or has no WCS, or the mosaic would be too large.
    """
    with ExitStack() as stack:
        images = opened(stack, inputs.input_files, work)
        grid = covering([image.sky for image in images], inputs.pixel_scale)
        _check_size(grid)
        placed = placed_on_sky(images, grid)
        shifts = np.zeros(len(images))
        if inputs.background == "match":
            shifts = level_shifts(images, grid, part_of(work.progress, 0.0, 0.3))
        pixels = stack.enter_context(DiskImage(work.folder, grid.shape))
        for rows, values in put_together(inputs, placed, shifts, part_of(work.progress, 0.3)):
            pixels[rows] = values
        return _result(inputs, work, grid, images, pixels, shifts)


def _result(
    inputs: MosaicInputs,
    work: Work,
    grid: Grid,
    images: Sequence[Image],
    pixels: DiskImage,
    shifts: NDArray[np.float64],
) -> Results:
    output = image_result(
        work,
        "mosaic",
        pixels,
        grid.header(images[0].header),
        inputs=[ref.basename for ref in inputs.input_files],
        operation=Mosaic.name,
        version=Mosaic.version,
        parameters=inputs.model_dump(exclude={"input_files"}),
        comment=f"Mosaic of {len(images)} images{filters_said(images)}",
        facts={"background_shifts": [round(float(shift), 6) for shift in shifts]},
    )
    return Results(files=[output])


def _check_size(grid: Grid) -> None:
    height, width = grid.shape
    if height * width > PIXELS_AT_MOST:
        millions = PIXELS_AT_MOST // 1_000_000
        raise OperationError(
            f"the mosaic would have {width} x {height} pixels, more than {millions} million:"
            " ask for a larger pixel_scale, or for images nearer to each other"
        )


def put_together(
    inputs: MosaicInputs, placed: Sequence[Placed], shifts: NDArray[np.float64], progress: Progress
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Give weighted means of images, strip by strip; NaN where there is none."""
    shape = placed[0].pixels.shape
    parts = strips(shape)
    for number, rows in enumerate(parts):
        total, weights, known = (np.zeros((rows.stop - rows.start, shape[1]), np.float32) for _ in range(3))
        for one, shift in zip(placed, shifts, strict=True):
            if not _is_within(one, rows):
                continue
            found = one.rows(rows, inputs.interpolation)
            covered = np.ones_like(total) if found.covered is None else found.covered
            weight = feather(one, rows) if inputs.blending == "feather" else np.float32(1)
            total += weight * (found.weighted + np.float32(shift) * covered)
            weights += weight * covered
            np.maximum(known, covered, out=known)
        with np.errstate(invalid="ignore", divide="ignore"):
            total /= weights
        np.copyto(total, np.nan, where=known < LEAST_COVERED)
        yield rows, total
        progress((number + 1) / len(parts))


def _is_within(placed: Placed, rows: slice) -> bool:
    (left, right), (low, high) = placed.pixels.rows(rows.start, rows.stop)
    height, width = placed.image.shape
    return bool(right > -1 and left < width and high > -1 and low < height)


def feather(placed: Placed, rows: slice) -> NDArray[np.float32]:
    """Return weights that fall to nearly nothing towards an image's edges."""
    height, width = placed.image.shape
    x, y = positions(placed.pixels, rows, 0)
    inwards = np.minimum(width / 2 - np.abs(x - (width - 1) / 2), height / 2 - np.abs(y - (height - 1) / 2))
    wide = max(1.0, _FEATHER * min(height, width))
    weights: NDArray[np.float32] = np.clip(inwards / wide, _LEAST_WEIGHT, 1).astype(np.float32)
    return weights


def level_shifts(images: Sequence[Image], grid: Grid, progress: Progress) -> NDArray[np.float64]:
    """Return what is to be added to each image so that they agree best where they overlap.

    Each pair of images says how far it is apart: the median of what they show of the same places. What is
    added comes to nothing over all images that hang together.
    """
    looks = []
    step = _look_step(len(images), grid.shape)
    for number, image in enumerate(images):
        looks.append(_look(image, grid, step))
        progress((number + 1) / len(images))
    normal, wanted = np.zeros((len(images), len(images))), np.zeros(len(images))
    for one, other in combinations(range(len(images)), 2):
        apart = looks[one] - looks[other]
        common = apart[np.isfinite(apart)]
        if common.size >= _LEAST_COMMON:
            difference, weight = float(np.median(common)), float(common.size)
            normal[[one, other], [one, other]] += weight
            normal[[one, other], [other, one]] -= weight
            wanted[one] -= weight * difference
            wanted[other] += weight * difference
    return np.asarray(np.linalg.lstsq(normal, wanted)[0], np.float64)


def _look_step(count: int, shape: tuple[int, int]) -> int:
    return max(_FINEST_LOOK_PX, int(np.ceil(np.sqrt(count * shape[0] * shape[1] / _LOOKS_AT_MOST))))


def _look(image: Image, grid: Grid, step: int) -> NDArray[np.float32]:
    """Return an image on the grid with ``step`` x ``step`` pixels as one; what they are on the mean."""
    shape = (-(-grid.shape[0] // step), -(-grid.shape[1] // step))
    placed = Placed(image, pixel_map(_coarse(sky_mapping(grid.wcs, image.sky.wcs), step), shape))
    look = np.full(shape, np.nan, np.float32)
    rows_at_once = max(1, STRIP_PX // (image.shape[1] * step))
    for start in range(0, shape[0], rows_at_once):
        rows = slice(start, min(start + rows_at_once, shape[0]))
        if _is_within(placed, rows):
            look[rows] = placed.rows(rows).values() / np.float32(step**2)
    return look


def _coarse(mapping: Mapping, step: int) -> Mapping:
    middle = (step - 1) / 2

    def coarse(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return mapping(x * step + middle, y * step + middle)

    return coarse
