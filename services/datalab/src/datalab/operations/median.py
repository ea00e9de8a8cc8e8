"""Median: the middle of images, pixel by pixel."""

from __future__ import annotations

from typing import ClassVar

from datalab.operations.operation import FileRef, Inputs, Results, Work, files_field


class MedianInputs(Inputs):
    """What the median is taken of; of one image it is that image, though forms ask for two."""

    input_files: tuple[FileRef, ...] = files_field("The images to take the median of", minimum=2)


class Median:
    """Takes the median of images at each pixel, of those that are valid there."""

    name: ClassVar[str] = "Median"
    description: ClassVar[str] = (
        "The median operation computes the median value for each pixel location across 2..n images."
        " This is typically used for removing noise, cosmic rays and other outliers."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[MedianInputs]] = MedianInputs
    unordered: ClassVar[frozenset[str]] = frozenset({"input_files"})

    @staticmethod
    def compute(inputs: MedianInputs, work: Work) -> Results:
        """Return the median where all images are, at their lower left."""
        # ruff: noqa: PLC0415 - only workers load what computes
        import numpy as np

        from datalab.fits.results import image_result
        from datalab.fits.series import opened_series
        from datalab.kernels.median import median

        with opened_series(work, inputs.input_files) as series:
            result = np.empty(series.shape, np.float32)
            for part in series.parts():
                median(part.pixels, part.masks, out=result[part.rows])
                work.progress(0.9 * part.rows.stop / len(result))
            header = series.readers[0].header
        output = image_result(
            work,
            "median",
            result,
            header,
            inputs=[ref.basename for ref in inputs.input_files],
            operation=Median.name,
            version=Median.version,
            comment=f"Median of {len(inputs.input_files)} images",
        )
        work.progress(1.0)
        return Results(files=[output])
