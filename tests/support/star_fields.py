"""The simulated archive's skies and files, by the name that tests have for them."""

from flightline.archive_simulator.banzai import catalog, write_banzai, write_series
from flightline.archive_simulator.star_fields import TAKEN_AT, Field, Moving, Variable, star_field

__all__ = [
    "TAKEN_AT",
    "Field",
    "Moving",
    "Variable",
    "catalog",
    "star_field",
    "write_banzai",
    "write_series",
]
