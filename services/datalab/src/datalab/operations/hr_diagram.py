"""HR Diagram: colours and magnitudes of a cluster's stars."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from datalab.operations.operation import FileRef, Inputs, Results, Work
from datalab.photometry.asking import Place

OneFile = Annotated[tuple[FileRef, ...], Field(min_length=1, max_length=1)]


class HRDiagramInputs(Inputs):
    """Two images of a cluster, and where it is."""

    blue_filter_files: OneFile = Field(
        title="Blue Band Image",
        description="The image of the cluster through the bluer filter",
        json_schema_extra={
            "type": "fits",
            "single_filter": True,
            "filter_options": ["gp"],
            "minimum": 1,
            "maximum": 1,
        },
    )
    red_filter_files: OneFile = Field(
        title="Red Band Image",
        description="The image of the cluster through the redder filter; colour is blue minus red",
        json_schema_extra={
            "type": "fits",
            "single_filter": True,
            "filter_options": ["rp", "ip", "zs"],
            "minimum": 1,
            "maximum": 1,
        },
    )
    cluster: Place = Field(
        title="Cluster Center",
        description="The centre of the star cluster",
        json_schema_extra={"type": "source", "name_lookup": True},
    )
    search_radius_arcmin: float = Field(
        default=15.0,
        gt=0,
        le=120,
        allow_inf_nan=False,
        title="Search Radius (arcmin)",
        description="How far from the cluster's centre stars are shown",
    )


class HRDiagram:
    """The stars of two images by colour and magnitude, with motions and distances of Gaia DR3."""

    name: ClassVar[str] = "HR Diagram"
    description: ClassVar[str] = (
        "Makes a colour-magnitude diagram of a star cluster from two images through different filters, adds "
        "what Gaia DR3 knows of its stars, and guesses by their proper motions which are the cluster's."
    )
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[Inputs]] = HRDiagramInputs

    @staticmethod
    def compute(inputs: HRDiagramInputs, work: Work) -> Results:
        """Match the two catalogues with each other and with Gaia's.

        Raises:
            OperationError: An image cannot be used, there is no star in both, or Gaia cannot be asked.
        """
        from datalab.photometry.colour_magnitude import (  # noqa: PLC0415 - imported by workers only
            colour_magnitude,
        )

        (blue,), (red,) = inputs.blue_filter_files, inputs.red_filter_files
        return Results(data=[colour_magnitude(blue, red, inputs.cluster, inputs.search_radius_arcmin, work)])
