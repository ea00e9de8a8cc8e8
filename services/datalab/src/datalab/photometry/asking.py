"""What operations on stars ask for; shared by several of them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from datalab.operations.operation import FileRef, Inputs, files_field

RightAscension = Annotated[float, Field(ge=0, lt=360, allow_inf_nan=False)]
Declination = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
BANDS = ("rp", "ip", "gp", "zs")
"""Whose magnitudes BANZAI calibrates."""


class Place(BaseModel):
    """Somewhere in the sky, in degrees (ICRS)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ra: RightAscension
    dec: Declination
    name: str | None = Field(default=None, max_length=256)


class TargetPosition(BaseModel):
    """Where a target is, and when that was seen."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ra: RightAscension
    dec: Declination
    mjd: Annotated[float, Field(ge=0, le=200_000, allow_inf_nan=False)] | None = None


def measured_files(least: int = 1, **form: Any) -> Any:
    """Return the field for images that are measured."""
    return files_field(
        "The images to measure, all through the same filter",
        least=least,
        single_filter=True,
        filter_options=list(BANDS),
        **form,
    )


class ApertureInputs(Inputs):
    """What every aperture photometry takes."""

    input_files: tuple[FileRef, ...] = measured_files(requires_filter=True)
    aperture_radius: float = Field(
        default=7.64,
        gt=0,
        le=120,
        allow_inf_nan=False,
        title="Aperture Radius",
        description="Radius around a star whose light is summed, in arcseconds",
        json_schema_extra={"required": True},
    )
    annulus_inner_radius: float = Field(
        default=12.73,
        gt=0,
        le=240,
        allow_inf_nan=False,
        title="Annulus Inner Radius",
        description="Where the ring begins in which the sky's background is measured, in arcseconds",
        json_schema_extra={"required": True},
    )
    annulus_outer_radius: float = Field(
        default=19.1,
        gt=0,
        le=360,
        allow_inf_nan=False,
        title="Annulus Outer Radius",
        description="Where that ring ends, in arcseconds",
        json_schema_extra={"required": True},
    )
    min_comparisons: int = Field(
        default=5,
        ge=1,
        le=100,
        title="Minimum Comparison Stars",
        description="How many comparison stars an image must have",
    )
    max_comparisons: int = Field(
        default=10,
        ge=1,
        le=100,
        title="Maximum Comparison Stars",
        description="How many comparison stars are used at most",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.aperture_radius <= self.annulus_inner_radius < self.annulus_outer_radius:
            raise ValueError(
                "the aperture must end before the annulus begins, and the annulus begin before it ends"
            )
        if self.min_comparisons > self.max_comparisons:
            raise ValueError("min_comparisons must not be more than max_comparisons")
        return self
