"""Moving Target Aperture Photometry: the light curve of what moves among the stars."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from datalab.operations.operation import Inputs, Results, Work
from datalab.photometry.asking import ApertureInputs, TargetPosition

Positions = Annotated[tuple[TargetPosition, ...], Field(min_length=2, max_length=999)]


class MovingTargetInputs(ApertureInputs):
    """Where the target was seen, in which images it is measured, and how large an aperture."""

    target_positions: Positions = Field(
        title="Target Positions",
        description=(
            "Where the target is in two or more images, each with the time of the middle of its exposure "
            "(mjd): the first, the last, and one between them if they are more than half a day apart"
        ),
        json_schema_extra={"type": "target_positions", "multiple": True, "minimum": 2},
    )
    track_search_radius: float = Field(
        default=10.0,
        gt=0,
        le=300,
        allow_inf_nan=False,
        title="Target Search Radius",
        description="How far from its track the target's own source is looked for, in arcseconds",
    )

    @model_validator(mode="before")
    @classmethod
    def _track_as_positions(cls, given: Any) -> Any:
        """Take a ``target_track`` as well, as clients of before send it."""
        if isinstance(given, dict) and "target_positions" not in given and given.get("target_track"):
            return {**given, "target_positions": given["target_track"]}
        return given


class MovingTargetAperturePhotometry:
    """A moving target measured on its track, where a source is that is no star."""

    name: ClassVar[str] = "Moving Target Aperture Photometry"
    description: ClassVar[str] = (
        "Measures a solar-system object that moves through images which follow the stars. Mark it in at "
        "least two of them: between these its track is interpolated, and its own source is looked for there."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[Inputs]] = MovingTargetInputs

    @staticmethod
    def compute(inputs: MovingTargetInputs, work: Work) -> Results:
        """Measure the target in all images.

        Raises:
            OperationError: There is no track, the images have several filters, or too few other stars.
        """
        from datalab.photometry.aperture_curves import aperture_curve  # noqa: PLC0415 - imported by workers only
        from datalab.photometry.curve_output import results  # noqa: PLC0415
        from datalab.photometry.targets import TrackTarget  # noqa: PLC0415
        from datalab.photometry.tracks import fit_track  # noqa: PLC0415

        target = TrackTarget(fit_track(inputs.target_positions), inputs.track_search_radius)
        curve = aperture_curve(target, inputs, work)
        track = [position.model_dump() for position in inputs.target_positions]
        return results(
            curve, inputs, {"target_track": track, "track_search_radius": inputs.track_search_radius}
        )
