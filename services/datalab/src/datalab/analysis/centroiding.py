"""Where exactly the star is that was clicked on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from datalab.analysis.display import Coordinate, DisplayedAsk
from datalab.fits.reader import FrameReader
from datalab.operations.operation import OperationError
from datalab.photometry.apertures import Radii, Stars, measure
from datalab.photometry.exposures import celestial, number, to_sky
from datalab.photometry.noise import Noise

Radius = Annotated[float, Field(gt=0, le=500, allow_inf_nan=False)]
WINDOW_PART: Final = 0.25
"""Of the radius, that the Gaussian window's sigma is: beyond the radius nothing counts."""
_LEAST_WINDOW_PX: Final = 0.7
_LEAST_FOR_PLANE: Final = 10
_NO_NOISE: Final = Noise(1.0, 0.0, 0.0)


class CentroidingAsk(DisplayedAsk):
    """Where was clicked, in the display; radii are of the image's pixels."""

    x: Coordinate
    y: Coordinate
    radius: Radius = 8.0
    r_back1: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 10.0
    r_back2: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 15.0
    find_centroid: bool = True
    remove_background_stars: bool = True
    use_plane_background: bool = False


ASK = CentroidingAsk


def answer(path: Path, ask: CentroidingAsk) -> dict[str, Any]:
    """Return the star's centre, what is behind it, and its highest pixel.

    Where none is found, the place is the one clicked on and ``message`` says why.

    Raises:
        OperationError: The file is no image.
    """
    with FrameReader(path, ask.basename) as reader:
        shape, header = reader.shape, reader.header
        x, y = ask.to_image(ask.x, ask.y, shape)
        if not (0 <= x + 0.5 < shape[1] and 0 <= y + 0.5 < shape[0]):
            return {**_unfound(ask), "message": "the place is outside the image"}
        found = _found(ask, *_around(reader, ask, x, y), x, y)
    shown_x, shown_y = ask.to_display(found["x"], found["y"], shape)
    return {**found, "x": shown_x, "y": shown_y, **_on_sky(header, found["x"], found["y"])}


def _unfound(ask: CentroidingAsk) -> dict[str, Any]:
    nothing = dict.fromkeys(("ra", "dec", "background", "peak"))
    return {"x": ask.x, "y": ask.y, **nothing, "success": False}


def _around(
    reader: FrameReader, ask: CentroidingAsk, x: float, y: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_], int, int]:
    """Return the pixels around a place, which are bad, and where the lowest left one is."""
    reach = int(np.ceil(max(ask.r_back2, ask.radius) + ask.radius)) + 2
    bottom, top = max(0, int(y) - reach), min(reader.shape[0], int(y) + reach + 1)
    left, right = max(0, int(x) - reach), min(reader.shape[1], int(x) + reach + 1)
    values = reader.rows(bottom, top)[:, left:right].astype(np.float64)
    marks = reader.bad(bottom, top)
    bad = ~np.isfinite(values) if marks is None else marks[:, left:right] | ~np.isfinite(values)
    return values, bad, left, bottom


def _found(
    ask: CentroidingAsk,
    values: NDArray[np.float64],
    bad: NDArray[np.bool_],
    left: int,
    bottom: int,
    x: float,
    y: float,
) -> dict[str, Any]:
    behind = _background(ask, values, bad, x - left, y - bottom)
    star = _centred(ask, values - behind, bad, x - left, y - bottom)
    if star.centred[0]:
        x, y = float(star.x[0]) + left, float(star.y[0]) + bottom
    level = behind[round(y) - bottom, round(x) - left]
    success = bool(star.centred[0]) or not ask.find_centroid
    return {
        "x": x,
        "y": y,
        "background": number(level),
        "peak": _peak(values, bad, x - left, y - bottom, ask.radius),
        "success": success,
        "message": "" if success else "no star was found within the radius",
    }


def _background(
    ask: CentroidingAsk, values: NDArray[np.float64], bad: NDArray[np.bool_], x: float, y: float
) -> NDArray[np.float64]:
    """Return what is behind the star, in each pixel: one level, or a plane; 0 if there is no ring."""
    rows, columns = np.indices(values.shape)
    apart = np.hypot(columns - x, rows - y)
    ring = (apart >= ask.r_back1) & (apart <= ask.r_back2) & ~bad
    if ring.sum() < _LEAST_FOR_PLANE:
        return np.zeros(values.shape)
    if ask.remove_background_stars:
        middle = np.median(values[ring])
        spread = 1.4826 * np.median(np.abs(values[ring] - middle))
        ring &= np.abs(values - middle) <= max(2.5 * spread, 1e-9)
    if not ask.use_plane_background:
        return np.full(values.shape, values[ring].mean())
    across_px, up_px = np.asarray(columns)[ring], np.asarray(rows)[ring]
    parts = np.column_stack([np.ones(len(up_px)), across_px, up_px])
    level, across, up = np.linalg.lstsq(parts, values[ring])[0]
    plane: NDArray[np.float64] = level + across * columns + up * rows
    return plane


def _centred(
    ask: CentroidingAsk, light: NDArray[np.float64], bad: NDArray[np.bool_], x: float, y: float
) -> Stars:
    edge = max(ask.r_back2, ask.radius + 1)
    return measure(
        light,
        bad,
        x,
        y,
        Radii(ask.radius, min(ask.r_back1, edge - 1), edge),
        _NO_NOISE,
        window_sigma_px=max(_LEAST_WINDOW_PX, WINDOW_PART * ask.radius) if ask.find_centroid else 0.0,
        most_shift_px=ask.radius,
    )


def _peak(
    values: NDArray[np.float64], bad: NDArray[np.bool_], x: float, y: float, radius: float
) -> float | None:
    rows, columns = np.indices(values.shape)
    within = (np.hypot(columns - x, rows - y) <= radius) & ~bad
    return float(values[within].max()) if within.any() else None


def _on_sky(header: Any, x: float, y: float) -> dict[str, float | None]:
    try:
        ra, dec = to_sky(celestial(header), x, y)
    except OperationError:
        return {"ra": None, "dec": None}
    return {"ra": float(ra), "dec": float(dec)}
