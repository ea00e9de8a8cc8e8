"""Variable Star: a star's catalogued magnitudes, and the period in them."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from datalab.operations.operation import FileRef, Inputs, OperationError, Results, Work
from datalab.photometry.asking import Place, measured_files

LEAST_FILES: Final = 8
"""That a period is looked for in."""


class VariableStarInputs(Inputs):
    """Which star, and in which images."""

    source: Place = Field(
        title="Source Star",
        description="The star whose period is looked for",
        json_schema_extra={"type": "source", "name_lookup": True},
    )
    input_files: tuple[FileRef, ...] = measured_files(least=LEAST_FILES)


class VariableStar:
    """A light curve, and its Lomb-Scargle periodogram."""

    name: ClassVar[str] = "Variable Star"
    description: ClassVar[str] = (
        "Builds the light curve of a star from the calibrated catalogues of images through one filter, and "
        "looks for its period with a Lomb-Scargle periodogram. It takes the star in at least 8 images."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[Inputs]] = VariableStarInputs

    @staticmethod
    def compute(inputs: VariableStarInputs, work: Work) -> Results:
        """Read each catalogue, and find the period.

        Raises:
            OperationError: The images have several filters, or too few show the star.
        """
        from datalab.photometry.catalog_curves import catalog_curve  # noqa: PLC0415 - imported by workers only
        from datalab.photometry.periods import find_period  # noqa: PLC0415

        curve = catalog_curve(inputs.source, inputs.input_files, work)
        rows = curve["light_curve"]
        if len(rows) < LEAST_FILES:
            raise OperationError(
                f"Only {len(rows)} of {len(inputs.input_files)} images show this star with a magnitude; "
                f"a period takes {LEAST_FILES}. {_why(curve['excluded_reasons'])}"
            )
        period = find_period(*([row[key] for row in rows] for key in ("bjd_tdb", "mag", "magerr")))
        if period is None:
            raise OperationError("All images are of the same time: there is no period in them.")
        return Results(data=[{**curve, **period.shown()}])


def _why(reasons: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in list(reasons.items())[:3])
