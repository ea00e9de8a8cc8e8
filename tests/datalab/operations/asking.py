"""What each operation is asked for, given files, so that all of them can be tried alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

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
