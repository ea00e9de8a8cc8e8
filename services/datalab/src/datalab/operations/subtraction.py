"""Subtraction: images less one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from datalab.operations.operation import FileRef, Inputs, OutputFile, Results, Work, files_field

if TYPE_CHECKING:
    from datalab.fits.reader import FrameReader


class SubtractionInputs(Inputs):
    """What is subtracted from what."""

    input_files: tuple[FileRef, ...] = files_field("The images to subtract from")
    subtraction_file: tuple[FileRef, ...] = files_field(
        "The image that is subtracted from each of the input images", most=1, name="Subtraction File"
    )


class Subtraction:
    """Subtracts one image from each of others."""

    name: ClassVar[str] = "Subtraction"
    description: ClassVar[str] = (
        "The subtraction operation subtracts one image from each of the input images, pixel by pixel."
        " This is used to find what has changed, and makes one image for each input."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[SubtractionInputs]] = SubtractionInputs

    @staticmethod
    def compute(inputs: SubtractionInputs, work: Work) -> Results:
        """Return the differences, in the order of the inputs, where both images are at their lower left."""
        # ruff: noqa: PLC0415 - only workers load what computes
        from datalab.fits.reader import FrameReader

        (ref,) = inputs.subtraction_file
        files = []
        with FrameReader(work.path(ref), ref.basename) as subtracted:
            for number, one in enumerate(inputs.input_files):
                files.append(_difference(one, number, subtracted, work))
                work.progress((number + 1) / len(inputs.input_files))
        return Results(files=files)


def _difference(ref: FileRef, number: int, subtracted: FrameReader, work: Work) -> OutputFile:
    """Subtract whole numbers as floats; what is bad in either image is not in the difference."""
    import numpy as np

    from datalab.fits.reader import FrameReader
    from datalab.fits.results import image_result
    from datalab.fits.series import Series

    with FrameReader(work.path(ref), ref.basename) as reader:
        height, width = (min(sides) for sides in zip(reader.shape, subtracted.shape, strict=True))
        pixels = np.empty((height, width), np.float32)
        for part in Series([reader, subtracted], (height, width)).parts():
            pixels[part.rows] = np.subtract(*part.pixels, dtype=np.float64)
            for mask in part.masks:
                if mask is not None:
                    pixels[part.rows][mask] = np.nan
        header = reader.header
    return image_result(
        work,
        f"subtraction-{number + 1}",
        pixels,
        header,
        inputs=[ref.basename, subtracted.name],
        operation=Subtraction.name,
        version=Subtraction.version,
        comment=f"{ref.basename} less {subtracted.name}",
    )
