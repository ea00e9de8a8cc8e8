"""Non-Sidereal Aperture Photometry: the light curve of what the telescope followed."""

from __future__ import annotations

from typing import ClassVar

from datalab.operations.operation import Inputs, Results, Work
from datalab.photometry.asking import ApertureInputs


class NonSiderealAperturePhotometry:
    """A moving target measured where each image's header has it, against the stars it passes."""

    name: ClassVar[str] = "Non-Sidereal Aperture Photometry"
    description: ClassVar[str] = (
        "Measures a solar-system object that the telescope followed. Where it is, each image's header says "
        "(CAT-RA, CAT-DEC); the stars that it is compared with change as it moves through the field."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[Inputs]] = ApertureInputs

    @staticmethod
    def compute(inputs: ApertureInputs, work: Work) -> Results:
        """Measure the target in all images.

        Raises:
            OperationError: The images have several filters, none can be measured, or too few other stars.
        """
        from datalab.photometry.aperture_curves import aperture_curve  # noqa: PLC0415 - imported by workers only
        from datalab.photometry.curve_output import results  # noqa: PLC0415
        from datalab.photometry.targets import HeaderTarget  # noqa: PLC0415

        return results(aperture_curve(HeaderTarget(), inputs, work), inputs, {})
