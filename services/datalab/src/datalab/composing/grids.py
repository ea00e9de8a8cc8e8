"""Grids of pixels on the sky."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io.fits import Header
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame
from numpy.typing import NDArray

from datalab.kernels.rectangles import Box, covered_columns
from datalab.kernels.resampling import Mapping, Positions
from datalab.operations.operation import OperationError

_OUTLINE_PX: Final = 64
_WIDEST_DEG: Final = 80.0
"""From a tangent point: a plane that touches the sky shows half of it, and its edge nowhere."""
_WCS_CARDS: Final = re.compile(
    r"(WCSAXES|CTYPE\d|CRVAL\d|CRPIX\d|CDELT\d|CUNIT\d|CROTA\d|CD\d_\d|PC\d_\d|PV\d_\d+|PS\d_\d+|LONPOLE|LATPOLE"
    r"|RADESYS|RADECSYS|EQUINOX|(A|B|AP|BP)_(ORDER|DMAX|\d+_\d+)|(CRDER|CSYER|CNAME)\d|WCSNAME|WCSERR)"
)


@dataclass(frozen=True)
class Grid:
    """Pixels on the sky."""

    wcs: WCS
    shape: tuple[int, int]

    def cropped(self, box: Box) -> Grid:
        """Return a part of it."""
        return Grid(self.wcs[box.bottom : box.top, box.left : box.right], box.shape)

    def header(self, header: Header) -> Header:
        """Return a header that says where these pixels are, and all else as ``header`` has it."""
        return with_wcs(header, self.wcs)


def with_wcs(header: Header, wcs: WCS | None) -> Header:
    """Return a header whose WCS is another, or none."""
    changed = header.copy()
    for key in [card for card in changed if _WCS_CARDS.fullmatch(card)]:
        changed.remove(key, remove_all=True)
    if wcs is None:
        return changed
    changed.update(wcs.to_header(relax=True))
    for key in ("PC1_1", "PC1_2", "PC2_1", "PC2_2", "CDELT1", "CDELT2"):
        changed.remove(key, ignore_missing=True)
    for (row, column), value in np.ndenumerate(wcs.pixel_scale_matrix):
        changed[f"CD{row + 1}_{column + 1}"] = float(value)
    return changed


def sky_mapping(grid: WCS, frame: WCS) -> Mapping:
    """Return where pixels of a grid lie in a frame."""
    ours, theirs = wcs_to_celestial_frame(grid), wcs_to_celestial_frame(frame)
    same = ours.is_equivalent_frame(theirs)

    def mapping(x: Positions, y: Positions) -> tuple[Positions, Positions]:
        lon, lat = grid.all_pix2world(x, y, 0)
        if not same:
            sky = SkyCoord(lon, lat, unit="deg", frame=ours).transform_to(theirs)
            lon, lat = sky.spherical.lon.deg, sky.spherical.lat.deg
        return seen(frame, lon, lat)

    return mapping


def seen(frame: WCS, lon: NDArray[Any], lat: NDArray[Any]) -> tuple[Positions, Positions]:
    """Return where a frame has places of the sky; NaN: nowhere."""
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    far = ~(_cosines(frame, lon, lat) > np.cos(np.radians(_WIDEST_DEG)))
    lon, lat = np.where(far, frame.wcs.crval[0], lon), np.where(far, frame.wcs.crval[1], lat)
    with np.errstate(invalid="ignore"):
        x, y = frame.all_world2pix(lon, lat, 0, quiet=True)
    return np.where(far, np.nan, x), np.where(far, np.nan, y)


def _cosines(frame: WCS, lon: NDArray[Any], lat: NDArray[Any]) -> NDArray[np.float64]:
    """Return how near places are to a frame's reference point: 1 is there."""
    there, here = _vectors(lon, lat), _vectors(*(np.asarray(value) for value in frame.wcs.crval))
    cosines: NDArray[np.float64] = there @ here
    return cosines


def _vectors(lon: NDArray[Any], lat: NDArray[Any]) -> NDArray[np.float64]:
    a, d = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)


def outline(shape: tuple[int, int]) -> tuple[Positions, Positions]:
    """Return x and y along the edges of a frame's pixels, once around."""
    height, width = shape
    across = np.linspace(-0.5, width - 0.5, max(2, -(-width // _OUTLINE_PX) + 1))[:-1]
    up = np.linspace(-0.5, height - 0.5, max(2, -(-height // _OUTLINE_PX) + 1))[:-1]
    right, top = np.full(len(up), width - 0.5), np.full(len(across), height - 0.5)
    x = np.concatenate([across, right, width - 1 - across, np.full(len(up), -0.5)])
    y = np.concatenate([np.full(len(across), -0.5), up, top, height - 1 - up])
    return x, y


def outlines(grid: WCS, frames: Sequence[Grid]) -> list[tuple[Positions, Positions]]:
    """Return where the edges of frames lie on a grid.

    Raises:
        OperationError: Some of them nowhere.
    """
    found = [sky_mapping(frame.wcs, grid)(*outline(frame.shape)) for frame in frames]
    if not all(np.isfinite(x).all() and np.isfinite(y).all() for x, y in found):
        raise OperationError("the images are too far from each other on the sky")
    return found


def covering(frames: Sequence[Grid], scale_arcsec: float | None = None) -> Grid:
    """Return the grid that covers all frames.

    Its middle is theirs, its pixels are as small as the smallest of theirs, and it is turned as the first is.

    Args:
        frames: One at least.
        scale_arcsec: The side of a pixel, if not the smallest.

    Raises:
        OperationError: They are too far from each other.
    """
    scale_deg = scale_arcsec / 3600 if scale_arcsec else min(_scale_deg(frame.wcs) for frame in frames)
    wcs = _plane(frames, scale_deg)
    edges = outlines(wcs, frames)
    x, y = (np.concatenate([edge[axis] for edge in edges]) for axis in (0, 1))
    left, bottom = float(x.min()), float(y.min())
    wcs.wcs.crpix = [-left + 0.5, -bottom + 0.5]
    wcs.wcs.set()
    # a hair's breadth more than a whole number of pixels is that number
    height, width = (int(np.ceil(np.ptp(values) - 1e-3)) for values in (y, x))
    return Grid(wcs, (max(1, height), max(1, width)))


def _scale_deg(wcs: WCS) -> float:
    return float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs))))


def _plane(frames: Sequence[Grid], scale_deg: float) -> WCS:
    first = frames[0].wcs
    sky = wcs_to_celestial_frame(first)
    places = [_middle(frame).transform_to(sky).spherical for frame in frames]
    vector = np.mean([_vectors(place.lon.deg, place.lat.deg) for place in places], axis=0)
    lon = np.degrees(np.arctan2(vector[1], vector[0])) % 360
    lat = np.degrees(np.arctan2(vector[2], np.hypot(vector[0], vector[1])))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"{first.wcs.lngtyp:-<5}TAN", f"{first.wcs.lattyp:-<5}TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys, wcs.wcs.equinox = first.wcs.radesys, first.wcs.equinox
    wcs.wcs.crval = [lon, lat]
    wcs.wcs.crpix = [1.0, 1.0]
    left, _, right = np.linalg.svd(first.pixel_scale_matrix)
    wcs.wcs.cd = scale_deg * (left @ right)
    wcs.wcs.set()
    return wcs


def _middle(frame: Grid) -> SkyCoord:
    height, width = frame.shape
    lon, lat = frame.wcs.all_pix2world((width - 1) / 2, (height - 1) / 2, 0)
    return SkyCoord(float(lon), float(lat), unit="deg", frame=wcs_to_celestial_frame(frame.wcs))


def common_rows(
    shape: tuple[int, int], edges: Sequence[tuple[Positions, Positions]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each row of a grid the columns that all outlines cover: the first, and the one after."""
    ranges = [covered_columns(x, y, shape) for x, y in edges]
    first = np.stack([low for low, _ in ranges]).max(axis=0)
    after = np.stack([high for _, high in ranges]).min(axis=0)
    return first, after
