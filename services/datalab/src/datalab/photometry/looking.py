"""A first look at all images, without their pixels: their filter, their stars, and where the target is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from datalab.operations.operation import FileRef, Work
from datalab.photometry.exclusions import Exclusions
from datalab.photometry.exposures import Exposure, Numbers
from datalab.photometry.field_stars import FieldStars
from datalab.photometry.matching import separation_arcsec
from datalab.photometry.reading import look_filtered, one_band, sources
from datalab.photometry.sources import Sources
from datalab.photometry.targets import Target

STATIC_PART: Final = 0.5
"""Of the images: what is at one place in more of them is a star, not what moves."""
LEAST_STATIC: Final = 2
_LEAST_TRAVEL_ARCSEC: Final = 4.0


@dataclass(frozen=True)
class Looked:
    """One image that can be measured."""

    basename: str
    path: Path
    middle_mjd: float
    ra: float
    """Where the target is expected."""
    dec: float
    near: Numbers
    """Places (ra, dec) of the sources around, among which it may be, the nearest first."""
    remark: str = ""


@dataclass
class Look:
    """All images, by time."""

    images: list[Looked] = field(default_factory=list)
    stars: FieldStars = field(default_factory=FieldStars)
    band: str = ""
    remarks: list[str] = field(default_factory=list)


def first_look(
    target: Target, files: Sequence[FileRef], aperture_arcsec: float, work: Work, excluded: Exclusions
) -> Look:
    """Look at all images; those that cannot be used are excluded.

    Raises:
        OperationError: They are through several filters, or none can be used.
    """
    found, bands = Look(), dict[str, str]()
    for done, ref in enumerate(files, 1):
        with excluded.without(ref.basename):
            path = work.path(ref)
            image = look_filtered(path, ref.basename)
            bands[ref.basename] = image.band
            found.images.append(_looked(target, path, image, found.stars, aperture_arcsec))
        work.progress(0.2 * done / len(files))
    found.band = one_band(bands)
    if not found.images:
        raise excluded.nothing_left("No image can be measured")
    found.images = [_located(target, image, found) for image in found.images]
    found.images.sort(key=lambda image: image.middle_mjd)
    places = [(image.ra, image.dec) for image in found.images]
    found.remarks = target.remarks([image.middle_mjd for image in found.images], places)
    return found


def _looked(target: Target, path: Path, image: Exposure, stars: FieldStars, aperture_arcsec: float) -> Looked:
    image.wcs  # noqa: B018 - raises if there is none
    ra, dec = target.expected(image)
    seen = sources(path, image)
    stars.add(seen, image, aperture_arcsec)
    near = _near(seen, ra, dec, target.search_radius_arcsec)
    return Looked(image.basename, path, image.middle_mjd, ra, dec, near)


def _near(seen: Sources, ra: float, dec: float, radius_arcsec: float) -> Numbers:
    if radius_arcsec <= 0 or not len(seen):
        return np.zeros((0, 2))
    apart = separation_arcsec(seen.ra, seen.dec, ra, dec)
    order = np.argsort(apart)
    order = order[apart[order] <= radius_arcsec]
    return np.column_stack([seen.ra[order], seen.dec[order]])


def _located(target: Target, image: Looked, look_: Look) -> Looked:
    """Return the image with the target at its own source, if there is one that is no star."""
    if target.search_radius_arcsec <= 0:
        return image
    moving = [place for place in image.near if not _is_star(place, look_)]
    if not moving:
        return Looked(**{**vars(image), "remark": "No source was found near where the target is expected."})
    return Looked(**{**vars(image), "ra": float(moving[0][0]), "dec": float(moving[0][1])})


def _is_star(place: Numbers, look_: Look) -> bool:
    ends = look_.images[0], look_.images[-1]
    travel = separation_arcsec(ends[0].ra, ends[0].dec, ends[1].ra, ends[1].dec)[0]
    if travel < _LEAST_TRAVEL_ARCSEC:
        return False  # so slow that it looks like a star itself
    same = look_.stars.near(float(place[0]), float(place[1]), 1.0)
    often = max(LEAST_STATIC, STATIC_PART * len(look_.images))
    return bool(len(same)) and bool(look_.stars.seen[same[0]] >= often)
