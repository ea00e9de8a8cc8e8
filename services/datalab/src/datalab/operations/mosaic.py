"""Mosaic: images beside each other on the sky, as one."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from datalab.operations.operation import LEFT_EMPTY, FileRef, Inputs, Results, Work, files_field

Scale = Annotated[float, Field(ge=0.001, le=3600, allow_inf_nan=False)]


class MosaicInputs(Inputs):
    """What is laid beside each other, and how it is blended."""

    input_files: tuple[FileRef, ...] = files_field(
        "The images to put together; each needs a WCS", least=2, single_filter=True
    )
    blending: Literal["feather", "average"] = Field(
        default="feather",
        title="Blending",
        description="Where images overlap: feather fades each out towards its edges, average does not",
    )
    background: Literal["match", "keep"] = Field(
        default="match",
        title="Background",
        description="Match shifts the levels of images such that they agree where they overlap",
    )
    interpolation: Literal["linear", "lanczos"] = Field(
        default="linear",
        title="Interpolation",
        description="Linear is fast, lanczos keeps stars sharper",
    )
    pixel_scale: Annotated[Scale | None, LEFT_EMPTY] = Field(
        default=None,
        title="Pixel Scale",
        description="Of the mosaic, in arcseconds; that of the sharpest image when not given",
        json_schema_extra={"minimum": 0.001, "maximum": 3600},
    )


class Mosaic:
    """Puts images together on the sky."""

    name: ClassVar[str] = "Mosaic"
    description: ClassVar[str] = (
        "The mosaic operation puts images that lie beside each other on the sky together to one."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[MosaicInputs]] = MosaicInputs
    unordered: ClassVar[frozenset[str]] = frozenset({"input_files"})

    @staticmethod
    def compute(inputs: MosaicInputs, work: Work) -> Results:
        """Return an image that covers all that any of the images covers."""
        from datalab.composing.mosaics import mosaicked  # noqa: PLC0415 - only workers load what computes

        return mosaicked(inputs, work)
