"""Sums of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np
from astropy.io.fits import Header
from numpy.typing import NDArray

from datalab.composing.grids import Grid, common_rows, covering, outlines
from datalab.composing.placing import (
    Image,
    Placed,
    cropped,
    edges_on_grid,
    filters_said,
    is_by_wcs,
    opened,
    part_of,
    placed_on,
    placed_on_sky,
    strips,
)
from datalab.fits.results import image_result
from datalab.kernels.rectangles import Box, largest_box
from datalab.kernels.resampling import LEAST_COVERED, Kernel, Positions, Resampled
from datalab.operations.operation import OperationError, Progress, Results, Work
from datalab.operations.stacking import Stacking, StackingInputs

Rows = Callable[[slice], Resampled]


def stacked(inputs: StackingInputs, work: Work) -> Results:
    """Compute what was asked for.

    Raises:
        OperationError: An input is no image, or the images do not fit each other.
    """
    scaled, progress = inputs.missing_pixels == "scale", part_of(work.progress)
    with ExitStack() as stack:
        images = opened(stack, inputs.input_files, work)
        if inputs.stacking_mode == "simple":
            pixels, header = simple_sum(images, scaled=scaled, progress=progress), images[0].header
        else:
            pixels, header = aligned_sum(
                images, kernel=inputs.interpolation, scaled=scaled, progress=progress
            )
    output = image_result(
        work,
        "stacking",
        pixels,
        header,
        inputs=[ref.basename for ref in inputs.input_files],
        operation=Stacking.name,
        version=Stacking.version,
        parameters=inputs.model_dump(exclude={"input_files"}),
        comment=f"Sum of {len(images)} images{filters_said(images)}",
    )
    return Results(files=[output])


def simple_sum(images: Sequence[Image], *, scaled: bool, progress: Progress) -> NDArray[np.float32]:
    """Return the sum of images pixel by pixel, of the lower left part that all have.

    Args:
        images: The images.
        scaled: Whether a pixel that some of the images do not know is made up for by the others: what k of n
            images know is summed and multiplied by n / k.
        progress: Is told how much is done.
    """
    shape = min(image.shape[0] for image in images), min(image.shape[1] for image in images)
    return _summed([_plain(image, shape[1]) for image in images], shape, scaled, progress)


def _plain(image: Image, width: int) -> Rows:
    def rows(of: slice) -> Resampled:
        found = image.window(of)
        covered = None if found.valid is None else found.valid[:, :width].astype(np.float32)
        return Resampled(found.values[:, :width], covered)

    return rows


def aligned_sum(
    images: Sequence[Image], *, kernel: Kernel, scaled: bool, progress: Progress
) -> tuple[NDArray[np.float32], Header]:
    """Return the sum of images on a common grid, cut to the largest box that all cover, and its header.

    The grid is the sky's when all images have a WCS, else they are laid on the first by their stars.

    Raises:
        OperationError: They show no common part of the sky, or their stars do not match.
    """
    placed, header = _placed(images)
    rows = [_resampling(one, kernel) for one in placed]
    return _summed(rows, placed[0].pixels.shape, scaled, progress), header


def _placed(images: Sequence[Image]) -> tuple[list[Placed], Header]:
    header = images[0].header
    if is_by_wcs("auto", images):
        grid = common_grid(images)
        return placed_on_sky(images, grid), grid.header(header)
    placed = placed_on(images[0], images, "stars")
    box = _common_box(images[0].shape, [edges_on_grid(one) for one in placed])
    wcs = images[0].wcs
    if wcs is not None:
        header = Grid(wcs, images[0].shape).cropped(box).header(header)
    return [cropped(one, box) for one in placed], header


def common_grid(images: Sequence[Image]) -> Grid:
    """Return the grid of the largest box that all images cover.

    Raises:
        OperationError: There is none.
    """
    frames = [image.sky for image in images]
    grid = covering(frames)
    return grid.cropped(_common_box(grid.shape, outlines(grid.wcs, frames)))


def _common_box(shape: tuple[int, int], edges: Sequence[tuple[Positions, Positions]]) -> Box:
    box = largest_box(*common_rows(shape, edges))
    if box is None:
        raise OperationError("the images do not overlap: no part of the sky is on all of them")
    return box


def _resampling(placed: Placed, kernel: Kernel) -> Rows:
    return lambda rows: placed.rows(rows, kernel)


def _summed(
    sources: Sequence[Rows], shape: tuple[int, int], scaled: bool, progress: Progress
) -> NDArray[np.float32]:
    """Return sums, strip by strip, one image after the other: memory does not grow with their number."""
    total = np.empty(shape, np.float32)
    parts = strips(shape)
    for index, rows in enumerate(parts):
        total[rows] = 0
        covered = np.zeros((rows.stop - rows.start, shape[1]), np.float32)
        for number, source in enumerate(sources):
            found = source(rows)
            total[rows] += found.weighted
            covered += np.float32(1) if found.covered is None else found.covered
            progress((index + (number + 1) / len(sources)) / len(parts))
        _finished(total[rows], covered, len(sources), scaled)
    return total


def _finished(total: NDArray[np.float32], covered: NDArray[np.float32], count: int, scaled: bool) -> None:
    """Make up for what is missing, in place; where next to nothing is known is NaN."""
    if covered.min() >= count:
        return
    if scaled:
        np.divide(total * np.float32(count), covered, out=total, where=covered > 0)
    total[covered < LEAST_COVERED] = np.nan
