"""A colour-magnitude diagram of a cluster: stars of two images, and what Gaia knows of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datalab.operations.operation import FileRef, OperationError, Work
from datalab.photometry.asking import Place
from datalab.photometry.exposures import Exposure, Numbers, number
from datalab.photometry.gaia import TAP_URL, GaiaStars, stars_around
from datalab.photometry.matching import matched, separation_arcsec, unit_vectors
from datalab.photometry.membership import guess
from datalab.photometry.reading import look_filtered, sources
from datalab.photometry.sources import Sources

SAME_STAR_ARCSEC: Final = 2.0
"""Between the two images."""
SAME_GAIA_ARCSEC: Final = 1.0
MOST_STARS: Final = 5000
MOST_GAIA_ONLY: Final = 5000
BLUE: Final = ("gp",)
RED: Final = ("rp", "ip", "zs")
_MATCHED: Final = {
    "pmra": "pmra",
    "pmra_err": "pmra_error",
    "pmdec": "pmdec",
    "pmdec_err": "pmdec_error",
    "parallax": "parallax",
    "parallax_err": "parallax_error",
    "distance": "r_med_geo",
    "distance_lo": "r_lo_geo",
    "distance_hi": "r_hi_geo",
}
_GUESSED: Final = ("pmra", "pmdec", "parallax", "r_med_geo", "r_lo_geo", "r_hi_geo")


@dataclass(frozen=True)
class Stars:
    """Stars seen in both images, the brightest first."""

    ra: Numbers
    dec: Numbers
    colour: Numbers
    colour_error: Numbers
    mag: Numbers
    error: Numbers


def colour_magnitude(
    blue: FileRef, red: FileRef, cluster: Place, radius_arcmin: float, work: Work
) -> dict[str, Any]:
    """Return the diagram as JSON.

    Raises:
        OperationError: An image cannot be used, they show no star in common, or Gaia cannot be asked.
    """
    blue_image, blue_stars = _band(blue, work, BLUE)
    work.progress(0.2)
    red_image, red_stars = _band(red, work, RED)
    work.progress(0.4)
    if not any(_shows(image, cluster) for image in (blue_image, red_image)):
        raise OperationError("The cluster's centre is in neither image: check its coordinates.")
    stars, many = _in_both(blue_stars, red_stars, cluster, radius_arcmin)
    work.progress(0.5)
    tap_url = work.settings.get("tap_url") or TAP_URL
    bands = blue_image.band, red_image.band
    gaia = stars_around(tap_url, cluster.ra, cluster.dec, radius_arcmin / 60, bands)
    work.progress(0.8)
    ours, theirs = matched(
        unit_vectors(stars.ra, stars.dec), unit_vectors(gaia["ra"], gaia["dec"]), SAME_GAIA_ARCSEC
    )
    only = _unmatched(gaia, theirs)
    pool = np.concatenate([theirs, only])
    return {
        "cluster": {
            "name": cluster.name or "",
            "ra": cluster.ra,
            "dec": cluster.dec,
            "radius_arcmin": radius_arcmin,
        },
        "blue_filter": bands[0],
        "red_filter": bands[1],
        "mag_band": bands[1],
        "cmd": _seen(stars, gaia, dict(zip(ours.tolist(), theirs.tolist(), strict=True)))
        + [_gaia_only(gaia, int(star), bands) for star in only],
        "membership_guess": _finite(guess(*(gaia[name][pool] for name in _GUESSED))),
        "n_gaia_matched": len(ours),
        "n_gaia_only": len(only),
        "n_stars": len(stars.ra),
        "n_stars_matched": many,
    }


def _band(ref: FileRef, work: Work, bands: tuple[str, ...]) -> tuple[Exposure, Sources]:
    path = work.path(ref)
    try:
        image = look_filtered(path, ref.basename)
        found = sources(path, image)
    except OperationError as error:
        raise OperationError(f"{ref.basename} cannot be used: {error}") from error
    if image.band not in bands:
        raise OperationError(f"{ref.basename} is through {image.band}, not {' or '.join(bands)}.")
    good = np.isfinite(found.mag) & np.isfinite(found.magerr)
    if not found.calibrated or not good.any():
        raise OperationError(f"The catalogue of {ref.basename} has no calibrated magnitudes.")
    return image, found[good]


def _shows(image: Exposure, place: Place) -> bool:
    x, y = (float(value) for value in image.pixels(place.ra, place.dec))
    return 0 <= x + 0.5 < image.shape[1] and 0 <= y + 0.5 < image.shape[0]


def _in_both(blue: Sources, red: Sources, cluster: Place, radius_arcmin: float) -> tuple[Stars, int]:
    """Return the brightest stars of both images around the cluster, and how many there are in all."""
    of_blue, of_red = matched(
        unit_vectors(blue.ra, blue.dec), unit_vectors(red.ra, red.dec), SAME_STAR_ARCSEC
    )
    if not len(of_blue):
        raise OperationError("The two images have no star in common: they must show the same field.")
    near = separation_arcsec(red.ra[of_red], red.dec[of_red], cluster.ra, cluster.dec) <= radius_arcmin * 60
    if not near.any():
        raise OperationError(f"No star within {radius_arcmin:g}' of the cluster's centre is in both images.")
    blue, red = blue[of_blue[near]], red[of_red[near]]
    order = np.argsort(red.mag, kind="stable")[:MOST_STARS]
    blue, red = blue[order], red[order]
    stars = Stars(
        ra=red.ra,
        dec=red.dec,
        colour=blue.mag - red.mag,
        colour_error=np.hypot(blue.magerr, red.magerr),
        mag=red.mag,
        error=red.magerr,
    )
    return stars, int(near.sum())


def _unmatched(gaia: GaiaStars, taken: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the brightest of Gaia's stars that are no star of the images."""
    rest = np.setdiff1d(np.arange(len(gaia)), taken)
    order = np.argsort(np.nan_to_num(gaia["phot_g_mean_mag"][rest], nan=np.inf), kind="stable")
    found: NDArray[np.intp] = rest[order][:MOST_GAIA_ONLY]
    return found


def _seen(stars: Stars, gaia: GaiaStars, same: dict[int, int]) -> list[dict[str, Any]]:
    return [
        {
            "ra": round(float(stars.ra[star]), 6),
            "dec": round(float(stars.dec[star]), 6),
            "color": _rounded(stars.colour[star]),
            "color_err": _rounded(stars.colour_error[star]),
            "mag": _rounded(stars.mag[star]),
            "magerr": _rounded(stars.error[star]),
            **_astrometry(gaia, same.get(star)),
            "gaia_only": False,
        }
        for star in range(len(stars.ra))
    ]


def _gaia_only(gaia: GaiaStars, star: int, bands: tuple[str, str]) -> dict[str, Any]:
    """Return a star that the images don't show, with magnitudes made from Gaia's spectra."""
    blue, red = (gaia[f"{band}_mag"][star] for band in bands)
    blue_error, red_error = (gaia[f"{band}_magerr"][star] for band in bands)
    return {
        "ra": round(float(gaia["ra"][star]), 6),
        "dec": round(float(gaia["dec"][star]), 6),
        "g_mag": _rounded(gaia["phot_g_mean_mag"][star]),
        "color": _rounded(blue - red),
        "color_err": _rounded(np.hypot(blue_error, red_error)),
        "mag": _rounded(red),
        "magerr": _rounded(red_error),
        **_astrometry(gaia, star),
        "gaia_only": True,
    }


def _astrometry(gaia: GaiaStars, star: int | None) -> dict[str, Any]:
    known = {shown: None if star is None else _rounded(gaia[name][star]) for shown, name in _MATCHED.items()}
    return {**known, "gaia_match": star is not None}


def _rounded(value: Any) -> float | None:
    found = number(value)
    return None if found is None else round(found, 4)


def _finite(guessed: Any) -> dict[str, float | None] | None:
    return None if guessed is None else {name: _rounded(value) for name, value in guessed.items()}
