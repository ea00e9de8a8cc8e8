"""Images on the pixels of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from datalab.composing.grids import with_wcs
from datalab.composing.placing import Image, Placed, opened, placed_on, strips
from datalab.fits.results import image_result
from datalab.kernels.resampling import Kernel
from datalab.operations.align import Align, AlignInputs
from datalab.operations.operation import OutputFile, Results, Work


def aligned(inputs: AlignInputs, work: Work) -> Results:
    """Compute what was asked for.

    Raises:
        OperationError: An input is no image, or cannot be laid on the reference.
    """
    outputs = []
    with ExitStack() as stack:
        images = opened(stack, inputs.input_files, work)
        reference = _reference(stack, inputs, work, images)
        placed = placed_on(reference, images, inputs.alignment)
        for index, one in enumerate(placed):
            outputs.append(_output(inputs, work, reference, one, index))
            work.progress((index + 1) / len(placed))
    return Results(files=outputs)


def _reference(stack: ExitStack, inputs: AlignInputs, work: Work, images: Sequence[Image]) -> Image:
    """Return the reference, which is mostly one of the images."""
    if not inputs.reference_file:
        return images[0]
    wanted = inputs.reference_file[0]
    names = [(ref.source, ref.basename) for ref in inputs.input_files]
    if (wanted.source, wanted.basename) in names:
        return images[names.index((wanted.source, wanted.basename))]
    return opened(stack, [wanted], work)[0]


def _output(inputs: AlignInputs, work: Work, reference: Image, placed: Placed, index: int) -> OutputFile:
    image = placed.image
    return image_result(
        work,
        f"align-{index + 1}",
        whole(placed, inputs.interpolation),
        with_wcs(image.header, reference.wcs),
        inputs=[image.name, reference.name],
        operation=Align.name,
        version=Align.version,
        parameters=inputs.model_dump(exclude={"input_files", "reference_file"}),
        comment=f"{image.name} on the pixels of {reference.name}",
    )


def whole(placed: Placed, kernel: Kernel) -> NDArray[np.float32]:
    """Return an image on all of the grid; NaN where it does not cover that."""
    pixels = np.empty(placed.pixels.shape, np.float32)
    for rows in strips(pixels.shape):
        pixels[rows] = placed.rows(rows, kernel).values()
    return pixels
