"""Align: images on the pixels of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from datalab.operations.operation import FileRef, Inputs, Results, Work, files_field


class AlignInputs(Inputs):
    """What is aligned, and how."""

    input_files: tuple[FileRef, ...] = files_field("The images to align")
    reference_file: tuple[FileRef, ...] = files_field(
        "The image on whose pixels the others are brought; the first one when not given",
        least=0,
        most=1,
        name="Reference File",
        minimum=0,
    )
    alignment: Literal["auto", "wcs", "stars"] = Field(
        default="auto",
        title="Alignment",
        description="By the headers' coordinates, or by stars; auto: by stars where one has no WCS",
    )
    interpolation: Literal["linear", "lanczos"] = Field(
        default="linear",
        title="Interpolation",
        description="Linear is fast, lanczos keeps stars sharper",
    )

    @field_validator("reference_file", mode="before")
    @classmethod
    def _one(cls, given: Any) -> Any:
        """Take a file for a list of one: clients send either."""
        if given is None:
            return ()
        return (given,) if isinstance(given, Mapping | FileRef) else given


class Align:
    """Brings images onto the pixels of one of them."""

    name: ClassVar[str] = "Align"
    description: ClassVar[str] = (
        "The align operation brings each image onto the pixels of a reference, by coordinates or by stars."
        " The light of stars is conserved; what an image does not cover is empty."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[AlignInputs]] = AlignInputs

    @staticmethod
    def compute(inputs: AlignInputs, work: Work) -> Results:
        """Return one image per input, in their order."""
        from datalab.composing.aligning import aligned  # noqa: PLC0415 - only workers load what computes

        return aligned(inputs, work)
