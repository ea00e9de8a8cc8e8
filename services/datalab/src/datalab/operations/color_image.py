"""Color Image: several images, each in a colour of its own, as one picture."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from datalab.operations.operation import LEFT_EMPTY, FileRef, Inputs, Results, Work

Part = Annotated[float, Field(ge=0, le=255, allow_inf_nan=False)]
Level = Annotated[float, Field(allow_inf_nan=False, ge=-1e30, le=1e30)]
SetLevel = Annotated[Level | None, LEFT_EMPTY]


class Color(BaseModel):
    """A colour as screens have it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    r: Part
    g: Part
    b: Part


class ColorChannel(FileRef):
    """One image, and how it is shown."""

    color: Color
    zmin: SetLevel = None
    """What is black; the image's median when not given."""
    zmax: SetLevel = None
    """What is as bright as can be; as in the image's preview when not given."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.zmin is not None and self.zmax is not None and self.zmin >= self.zmax:
            raise ValueError("zmin must be less than zmax")
        return self


class ColorImageInputs(Inputs):
    """The channels, and how they are laid on each other."""

    color_channels: tuple[ColorChannel, ...] = Field(
        min_length=1,
        max_length=6,
        title="Color Channel",
        description="Image for a channel of the color image",
        json_schema_extra={"type": "fits", "include_custom_scale": True, "color_picker": True},
    )
    alignment: Literal["auto", "wcs", "stars", "none"] = Field(
        default="auto",
        title="Alignment",
        description="By the headers' coordinates, or by stars; auto: by stars where one has no WCS",
    )


class ColorImage:
    """Composes a picture in colours."""

    name: ClassVar[str] = "Color Image"
    description: ClassVar[str] = (
        "The color image operation lays up to 6 images on the first of them"
        " and adds their light, each in a color of its own."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[ColorImageInputs]] = ColorImageInputs

    @staticmethod
    def compute(inputs: ColorImageInputs, work: Work) -> Results:
        """Return JPEGs, and a TIFF of 16 bits."""
        from datalab.composing.colours import coloured  # noqa: PLC0415 - only workers load what computes

        return coloured(inputs, work)
