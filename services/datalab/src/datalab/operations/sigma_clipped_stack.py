"""Sigma-Clipped Stack: the mean or median of images without outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from datalab.operations.operation import (
    FILES_AT_MOST,
    LEFT_EMPTY,
    FileRef,
    Inputs,
    Results,
    Work,
    files_field,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def _weights_of(given: Any) -> Any:
    """Return the numbers of a text, as forms send them; something else as it is."""
    return [part.strip() for part in given.split(",")] if isinstance(given, str) else given


Weights = Annotated[tuple[float, ...], Field(max_length=FILES_AT_MOST)]


class SigmaClippedStackInputs(Inputs):
    """What is stacked, and what is an outlier."""

    input_files: tuple[FileRef, ...] = files_field("The images to combine", least=2)
    combine: Literal["mean", "median"] = Field(
        default="mean",
        title="Combine",
        description="What is made of the values that are left",
    )
    center: Literal["median", "mean"] = Field(
        default="median",
        title="Center",
        description="From where deviations are measured",
    )
    sigma_low: float = Field(
        default=3.0,
        ge=1,
        le=100,
        title="Sigma Low",
        description="Values so many standard deviations below the center are left out",
    )
    sigma_high: float = Field(
        default=3.0,
        ge=1,
        le=100,
        title="Sigma High",
        description="Values so many standard deviations above the center are left out",
    )
    rounds: int = Field(
        default=5,
        ge=0,
        le=50,
        title="Rounds",
        description="How often at most the deviation is taken anew; 0 leaves nothing out",
    )
    winsorized: Literal["no", "yes"] = Field(
        default="no",
        title="Winsorized",
        description="Draw outliers in before the deviation is taken: finds them among few images",
    )
    scale: Literal["none", "median"] = Field(
        default="none",
        title="Scale",
        description="Multiply images such that their medians are that of the first, as for flats",
    )
    weights: Annotated[Weights | None, BeforeValidator(_weights_of), LEFT_EMPTY] = Field(
        default=None,
        title="Weights",
        description="A number for each image, commas between them, when they do not count the same",
        json_schema_extra={"type": "string"},
    )
    error_weights: Literal["no", "yes"] = Field(
        default="no",
        title="Weigh by Errors",
        description="Images whose errors (ERR) are small count more: by 1 / error squared",
    )

    @model_validator(mode="after")
    def _weighs_each(self) -> Self:
        if self.weights is not None and self.error_weights == "yes":
            raise ValueError("give weights, or have images weighed by their errors")
        if self.weights is not None and len(self.weights) != len(self.input_files):
            raise ValueError("there must be one weight for each input file")
        if self.weights is not None and not all(0 < weight < 1e9 for weight in self.weights):  # noqa: PLR2004
            raise ValueError("weights must be above 0 and below 1e9")
        return self


class SigmaClippedStack:
    """Combines images after outliers have been left out, at each pixel."""

    name: ClassVar[str] = "Sigma-Clipped Stack"
    description: ClassVar[str] = (
        "The sigma-clipped stack leaves out at each pixel what is too far from the other images,"
        " such as cosmic rays, satellites and hot pixels, and takes the mean or median of the rest."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[SigmaClippedStackInputs]] = SigmaClippedStackInputs

    @staticmethod
    def compute(inputs: SigmaClippedStackInputs, work: Work) -> Results:
        """Return the stack where all images are, at their lower left."""
        # ruff: noqa: PLC0415 - only workers load what computes
        import numpy as np

        from datalab.fits.results import image_result
        from datalab.fits.series import error_weights, opened_series, scales
        from datalab.kernels.clipping import Clipping, clipped

        clipping = Clipping(
            inputs.sigma_low, inputs.sigma_high, inputs.rounds, inputs.center, inputs.winsorized == "yes"
        )
        with opened_series(work, inputs.input_files) as series:
            factors = scales(series) if inputs.scale == "median" else None
            weights: Sequence[float] | None = inputs.weights
            if inputs.error_weights == "yes":
                weights = error_weights(series, factors)
            result = np.empty(series.shape, np.float32)
            lost = 0
            for part in series.parts():
                pixels = part.pixels
                for index, factor in enumerate(factors or ()):  # one after the other: they are many
                    pixels[index] = pixels[index] * np.float32(factor)
                _, lost_here = clipped(
                    pixels,
                    clipping,
                    masks=part.masks,
                    combine=inputs.combine,
                    weights=weights,
                    out=result[part.rows],
                )
                lost += lost_here
                work.progress(0.9 * part.rows.stop / len(result))
            header = series.readers[0].header
        left_out = lost / result.size / len(inputs.input_files)
        output = image_result(
            work,
            "sigma-clipped-stack",
            result,
            header,
            inputs=[ref.basename for ref in inputs.input_files],
            operation=SigmaClippedStack.name,
            version=SigmaClippedStack.version,
            parameters=inputs.model_dump(exclude={"input_files"}),
            comment=f"{inputs.combine} of {len(inputs.input_files)} images, {left_out:.3%} left out",
            facts={"left_out": left_out},
        )
        work.progress(1.0)
        return Results(files=[output])
