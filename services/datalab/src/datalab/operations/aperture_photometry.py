"""Aperture Photometry: a star's light curve against comparison stars."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from datalab.operations.operation import Inputs, Results, Work
from datalab.photometry.asking import ApertureInputs, TargetPosition

Positions = Annotated[tuple[TargetPosition, ...], Field(min_length=1, max_length=999)]


class AperturePhotometryInputs(ApertureInputs):
    """Which star, in which images, and how large an aperture."""

    target_positions: Positions = Field(
        title="Target",
        description="The star that is measured",
        json_schema_extra={"type": "target_positions", "name_lookup": True, "minimum": 1},
    )

    @model_validator(mode="before")
    @classmethod
    def _source_as_position(cls, given: Any) -> Any:
        """Take a ``source`` as well, as clients of before send it."""
        if isinstance(given, dict) and "target_positions" not in given and given.get("source"):
            return {**given, "target_positions": [given["source"]]}
        return given


class AperturePhotometry:
    """A star measured in apertures, calibrated by the steadiest stars around it."""

    name: ClassVar[str] = "Aperture Photometry"
    description: ClassVar[str] = (
        "Measures a star in circular apertures, image by image, and calibrates its light curve with the "
        "steadiest stars of the field. Images that cannot be measured are listed with the reason."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[Inputs]] = AperturePhotometryInputs

    @staticmethod
    def compute(inputs: AperturePhotometryInputs, work: Work) -> Results:
        """Measure the star in all images.

        Raises:
            OperationError: The images have several filters, none can be measured, or too few other stars.
        """
        from datalab.photometry.aperture_curves import aperture_curve  # noqa: PLC0415 - imported by workers only
        from datalab.photometry.curve_output import results  # noqa: PLC0415
        from datalab.photometry.targets import fixed_target  # noqa: PLC0415

        target = fixed_target(inputs.target_positions, inputs.aperture_radius)
        curve = aperture_curve(target, inputs, work)
        return results(curve, inputs, {"source": {"ra": target.ra, "dec": target.dec}})
