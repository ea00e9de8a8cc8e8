"""Where a simulated flight takes place, on the map and on the globe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyproj import Proj, Transformer

from odm_gateway.orthophoto.models import Floats


@dataclass(frozen=True, slots=True)
class Site:
    """A place with its UTM zone; offsets from it are metres east, north and up."""

    epsg: int
    origin: Floats
    """(3,) easting, northing, altitude, metres."""
    convergence_deg: float
    """Grid north's bearing from true north, clockwise."""

    @classmethod
    def at(cls, latitude_deg: float, longitude_deg: float, altitude_m: float) -> Site:
        """Return the site at a place; its origin is on a whole metre."""
        zone = int((longitude_deg + 180) // 6) % 60 + 1
        epsg = (32600 if latitude_deg >= 0 else 32700) + zone
        easting, northing = Transformer.from_crs(4326, epsg, always_xy=True).transform(
            longitude_deg, latitude_deg
        )
        factors = Proj(f"EPSG:{epsg}").get_factors(longitude_deg, latitude_deg)
        origin = np.array([round(easting), round(northing), altitude_m], np.float64)
        return cls(epsg, origin, float(factors.meridian_convergence))

    def to_geographic(self, offsets_m: Floats) -> Floats:
        """Return longitude, latitude (degrees) and altitude (metres), each row of (n, 3) offsets."""
        east, north, up = (offsets_m + self.origin).T
        longitude, latitude = Transformer.from_crs(self.epsg, 4326, always_xy=True).transform(east, north)
        return np.column_stack([longitude, latitude, up])
