"""The block's own metric frame: UTM less a round origin near its middle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from pyproj import Transformer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .models import Floats, Photo

_ROUND_TO_M: Final = 10.0


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame, and where GPS puts the photos in it."""

    epsg: int
    origin: Floats
    gps: Floats
    """(photos, 3) metres; the height is NaN of a photo without altitude."""


def utm_epsg(latitude_deg: float, longitude_deg: float) -> int:
    """Return the EPSG code of the regular UTM zone, WGS 84."""
    zone = int((longitude_deg + 180) // 6) % 60 + 1
    return (32600 if latitude_deg >= 0 else 32700) + zone


def frame_photos(photos: Sequence[Photo]) -> Frame:
    """Return the frame in the zone of the photos' median position."""
    latitudes = np.array([photo.latitude_deg for photo in photos])
    longitudes = np.array([photo.longitude_deg for photo in photos])
    epsg = utm_epsg(float(np.median(latitudes)), float(np.median(longitudes)))
    to_utm = Transformer.from_crs(4326, epsg, always_xy=True)
    east, north = to_utm.transform(longitudes, latitudes)
    up = np.array([np.nan if photo.altitude_m is None else photo.altitude_m for photo in photos])
    gps = np.column_stack([east, north, up])
    middle = np.nan_to_num([np.median(east), np.median(north), _median_or_zero(up)])
    origin = np.round(middle / _ROUND_TO_M) * _ROUND_TO_M
    return Frame(epsg, origin, gps - origin)


def _median_or_zero(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0
