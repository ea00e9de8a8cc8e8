"""When light reached the solar system's barycentre."""

from __future__ import annotations

import numpy as np
from astropy.coordinates import get_body_barycentric
from astropy.time import Time

_LIGHT_KM_S = 299_792.458
_DAY_S = 86_400.0


def bjd_tdb(mjd_utc: float, ra: float, dec: float) -> float:
    """Return the barycentric Julian date (TDB) of an exposure, true to 0.03 s.

    As seen from the middle of the Earth: where on it the telescope stands is at most 0.021 s.
    """
    time = Time(mjd_utc, format="mjd", scale="utc").tdb
    earth_km = get_body_barycentric("earth", time).xyz.to_value("km")
    right, up = np.radians(ra), np.radians(dec)
    towards = np.array([np.cos(up) * np.cos(right), np.cos(up) * np.sin(right), np.sin(up)])
    return float(time.jd + earth_km @ towards / _LIGHT_KM_S / _DAY_S)
