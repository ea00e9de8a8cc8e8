"""Normalization: images divided by their own medians."""

from __future__ import annotations

from typing import ClassVar

from datalab.operations.operation import (
    FileRef,
    Inputs,
    OperationError,
    OutputFile,
    Results,
    Work,
    files_field,
)


class NormalizationInputs(Inputs):
    """What is normalized."""

    input_files: tuple[FileRef, ...] = files_field("The images to normalize")


class Normalization:
    """Divides each image by its own median."""

    name: ClassVar[str] = "Normalization"
    description: ClassVar[str] = (
        "The normalization operation divides each image by the median of its pixels."
        " This is commonly used as a preprocessing step, and makes one image for each input."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[NormalizationInputs]] = NormalizationInputs

    @staticmethod
    def compute(inputs: NormalizationInputs, work: Work) -> Results:
        """Return the normalized images, in the order of the inputs."""
        files = []
        for number, ref in enumerate(inputs.input_files):
            files.append(_normalized(ref, number, work))
            work.progress((number + 1) / len(inputs.input_files))
        return Results(files=files)


def _normalized(ref: FileRef, number: int, work: Work) -> OutputFile:
    """Divide one image; bad pixels neither count nor stay."""
    import numpy as np

    # ruff: noqa: PLC0415 - only workers load what computes
    from datalab.fits.reader import FrameReader
    from datalab.fits.results import image_result
    from datalab.fits.series import whole
    from datalab.kernels.ranks import median_of

    with FrameReader(work.path(ref), ref.basename) as reader:
        pixels, header = whole(reader), reader.header
    median = median_of(pixels)
    if not median or not np.isfinite(median):
        raise OperationError(f"{ref.basename} cannot be normalized: the median of its pixels is {median}")
    pixels /= np.float32(median)
    return image_result(
        work,
        f"normalization-{number + 1}",
        pixels,
        header,
        inputs=[ref.basename],
        operation=Normalization.name,
        version=Normalization.version,
        parameters={"median": median},
        comment=f"{ref.basename}, divided by its median {median:g}",
        facts={"median": median},
    )
