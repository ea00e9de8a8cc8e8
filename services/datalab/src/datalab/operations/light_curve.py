"""Light Curve: a star's catalogued magnitudes, image by image."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datalab.operations.operation import FileRef, Inputs, Results, Work
from datalab.photometry.asking import Place, measured_files


class LightCurveInputs(Inputs):
    """Which star, and in which images."""

    source: Place = Field(
        title="Source Star",
        description="The star whose light curve is made",
        json_schema_extra={"type": "source", "name_lookup": True},
    )
    input_files: tuple[FileRef, ...] = measured_files()


class LightCurve:
    """Magnitudes of the catalogued source that is nearest to a place, within 4 arcseconds."""

    name: ClassVar[str] = "Light Curve"
    description: ClassVar[str] = (
        "Builds the light curve of a star from the calibrated catalogues of images through one filter. "
        "Images without the star or a zero point are listed with the reason."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[Inputs]] = LightCurveInputs

    @staticmethod
    def compute(inputs: LightCurveInputs, work: Work) -> Results:
        """Read each catalogue, and the star in it.

        Raises:
            OperationError: The images have several filters, or none shows the star.
        """
        from datalab.photometry.catalog_curves import catalog_curve  # noqa: PLC0415 - imported by workers only

        return Results(data=[catalog_curve(inputs.source, inputs.input_files, work)])
