"""Stacking: the sum of images."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from datalab.operations.operation import FileRef, Inputs, Results, Work, files_field


class StackingInputs(Inputs):
    """What is stacked, and how."""

    input_files: tuple[FileRef, ...] = files_field("The images to add", least=2)
    stacking_mode: Literal["simple", "reproject"] = Field(
        default="simple",
        title="Stacking Mode",
        description="Simple adds pixel by pixel; reproject first brings all onto one grid on the sky",
    )
    interpolation: Literal["linear", "lanczos"] = Field(
        default="linear",
        title="Interpolation",
        description="When reprojecting: linear is fast, lanczos keeps stars sharper",
    )
    missing_pixels: Literal["scale", "ignore"] = Field(
        default="scale",
        title="Missing Pixels",
        description="Where some have no valid pixel: scale up the sum of the others, or just add",
    )


class Stacking:
    """Adds images, pixel by pixel or on a common grid."""

    name: ClassVar[str] = "Stacking"
    description: ClassVar[str] = (
        "The stacking operation adds 2..n images. This improves the signal to noise ratio of what is faint."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[StackingInputs]] = StackingInputs
    unordered: ClassVar[frozenset[str]] = frozenset({"input_files"})

    @staticmethod
    def compute(inputs: StackingInputs, work: Work) -> Results:
        """Return the sum, cut to what all images cover."""
        from datalab.composing.stacking import stacked  # noqa: PLC0415 - only workers load what computes

        return stacked(inputs, work)
