"""Calibrate: raw images without what the camera has added."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from pydantic import model_validator

from datalab.operations.operation import (
    FileRef,
    Inputs,
    OperationError,
    OutputFile,
    Results,
    Work,
    files_field,
)

if TYPE_CHECKING:
    from datalab.calibration import Masters


_CALIBRATIONS_AT_MOST: Final = 100


class CalibrateInputs(Inputs):
    """What is calibrated, and with what."""

    input_files: tuple[FileRef, ...] = files_field("The images to calibrate")
    bias_files: tuple[FileRef, ...] = files_field(
        "Images of no exposure; their median is subtracted", 0, _CALIBRATIONS_AT_MOST, "Bias Files"
    )
    dark_files: tuple[FileRef, ...] = files_field(
        "Images without light; the median of their dark current is subtracted for each exposure",
        0,
        _CALIBRATIONS_AT_MOST,
        "Dark Files",
    )
    flat_files: tuple[FileRef, ...] = files_field(
        "Images of even light; images are divided by their median, brought to 1",
        0,
        _CALIBRATIONS_AT_MOST,
        "Flat Files",
    )
    mask_files: tuple[FileRef, ...] = files_field(
        "An image that is not zero where pixels are bad", 0, 1, "Mask"
    )

    @model_validator(mode="after")
    def _has_something(self) -> Self:
        if not (self.bias_files or self.dark_files or self.flat_files or self.mask_files):
            raise ValueError("give bias, dark or flat files, or a mask")
        return self


class Calibrate:
    """Removes bias, dark current and flat field from raw images."""

    name: ClassVar[str] = "Calibrate"
    description: ClassVar[str] = (
        "The calibrate operation subtracts bias and dark current, scaled to each exposure, divides by the"
        " flat field and leaves out bad pixels. It makes one image for each input."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[CalibrateInputs]] = CalibrateInputs

    @staticmethod
    def compute(inputs: CalibrateInputs, work: Work) -> Results:
        """Return the calibrated images, in the order of the inputs."""
        # ruff: noqa: PLC0415 - only workers load what computes
        from contextlib import ExitStack
        from pathlib import Path
        from tempfile import TemporaryDirectory

        from datalab.calibration import masters
        from datalab.fits.reader import FrameReader

        first = inputs.input_files[0]
        with FrameReader(work.path(first), first.basename) as reader:
            shape = reader.shape
        refs = {kind: getattr(inputs, f"{kind}_files") for kind in ("bias", "dark", "flat", "mask")}
        files = []
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            made = masters(stack, work, folder, refs, shape)
            work.progress(0.2)
            for number in range(len(inputs.input_files)):
                files.append(_calibrated(inputs, number, made, shape, work))
                work.progress(0.2 + 0.8 * (number + 1) / len(inputs.input_files))
        return Results(files=files)


def _calibrated(
    inputs: CalibrateInputs, number: int, made: Masters, shape: tuple[int, int], work: Work
) -> OutputFile:
    from datalab.calibration import filter_of, same_size
    from datalab.fits.reader import FrameReader
    from datalab.fits.results import image_result

    ref = inputs.input_files[number]
    with FrameReader(work.path(ref), ref.basename) as reader:
        same_size(reader, shape)
        band = filter_of(reader.header)
        if band and made.filters and made.filters != {band}:
            raise OperationError(
                f"{ref.basename} is in {band}, the flats in {', '.join(sorted(made.filters))}"
            )
        pixels, header = made.all_applied(reader), reader.header
    used = {
        kind: [one.basename for one in getattr(inputs, kind)]
        for kind in ("bias_files", "dark_files", "flat_files", "mask_files")
    }
    return image_result(
        work,
        f"calibrate-{number + 1}",
        pixels,
        header,
        inputs=[ref.basename, *(name for names in used.values() for name in names)],
        operation=Calibrate.name,
        version=Calibrate.version,
        parameters={kind: len(names) for kind, names in used.items()},
        comment=f"{ref.basename}, calibrated",
    )
