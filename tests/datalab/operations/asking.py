"""What each operation is asked for, given files, so that all of them can be tried alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.datalab.operations.working import FolderWork
from tests.support.star_fields import TAKEN_AT, star_field, write_banzai

Files = Sequence[Mapping[str, Any]]
Place = Mapping[str, float]
RED, GREEN, BLUE = ({"r": 255, "g": 0, "b": 0}, {"r": 0, "g": 255, "b": 0}, {"r": 0, "g": 0, "b": 255})
LONG_AGO, LONG_AFTER = 51_000.0, 71_000.0
"""Days between which all test images are: a target that hardly moves is marked at both."""

ASKED: Final[Mapping[str, Callable[[Files, Place], dict[str, Any]]]] = {
    "Median": lambda files, _: {"input_files": files},
    "Sigma-Clipped Stack": lambda files, _: {"input_files": files, "scale": "median"},
    "Stacking": lambda files, _: {"input_files": files, "stacking_mode": "reproject"},
    "Normalization": lambda files, _: {"input_files": files},
    "Subtraction": lambda files, _: {"input_files": files, "subtraction_file": files[:1]},
    "Color Image": lambda files, _: {
        "color_channels": [
            {**file, "color": color} for file, color in zip(files, (RED, GREEN, BLUE) * 2, strict=False)
        ]
    },
    "Align": lambda files, _: {"input_files": files},
    "Mosaic": lambda files, _: {"input_files": files},
    "Calibrate": lambda files, _: {
        "input_files": files,
        "bias_files": files[:2],
        "flat_files": [{"basename": FLAT}] * 2,
    },
    "Region Statistics": lambda files, _: {"input_files": files},
    "Light Curve": lambda files, place: {"input_files": files, "source": place},
    "Variable Star": lambda files, place: {"input_files": [*files] * 8, "source": place},
    "Aperture Photometry": lambda files, place: {"input_files": files, "target_positions": [place]},
    "Non-Sidereal Aperture Photometry": lambda files, _: {"input_files": files},
    "Moving Target Aperture Photometry": lambda files, place: {
        "input_files": files,
        "target_positions": [{**place, "mjd": LONG_AGO}, {**place, "mjd": LONG_AFTER}],
    },
    "HR Diagram": lambda files, place: {
        "blue_filter_files": files[:1],
        "red_filter_files": files[-1:],
        "cluster": place,
    },
}
FLAT: Final = "flat.fits"
"""An image of even light that Calibrate needs besides."""


def write_night(folder: Path, count: int, side: int) -> dict[str, float]:
    """Write exposures of a sky and even light; return where one of its stars is."""
    for number in range(count):
        field = star_field(
            size=side,
            stars=200,
            separation_px=60,
            magnitudes=(12.5, 17.5),
            hot_pixels=300,
            exposure=number,
            rotation_deg=number / 3,
            date_obs=TAKEN_AT + timedelta(minutes=number),
        )
        write_banzai(folder / f"{number}.fits.fz", field)
    FolderWork(folder, folder).add(
        FLAT, np.random.default_rng(1).normal(9000, 90, (side, side)).astype(np.float32)
    )
    star = field.truth[7]
    return {"ra": float(star["ra"]), "dec": float(star["dec"])}
