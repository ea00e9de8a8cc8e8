"""The map's pixel grid, and which part of it is worth showing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

from .models import EngineError
from .views import ground_sample_distance_m, heights_at

if TYPE_CHECKING:
    from .models import Floats, Surface
    from .options import EngineOptions
    from .views import View

GRID_PX: Final = 8
"""Geometry is computed at every eighth pixel and interpolated between."""
_COVER_CELLS: Final = 2_000_000
_COVER_PHOTOS: Final = 2
_OUTLINE_BLUR_CELLS: Final = 2.0
_FRAME_CELLS: Final = 8


@dataclass(frozen=True, slots=True)
class Canvas:
    """A north-up pixel grid; ``west_m`` and ``north_m`` are its outer corner in the block's frame."""

    west_m: float
    north_m: float
    pixel_m: float
    width: int
    height: int

    @property
    def megapixels(self) -> float:
        """Size in millions of pixels."""
        return self.width * self.height / 1e6

    def transform(self, origin: Floats) -> Affine:
        """Return the affine transform of the grid in the projected system."""
        west, north = origin[0] + self.west_m, origin[1] + self.north_m
        return Affine(self.pixel_m, 0, west, 0, -self.pixel_m, north)

    def nodes(self, column: float, row: float, columns: int, rows: int, step_px: float) -> Floats:
        """Return ``(rows * columns, 2)`` block positions every ``step_px``, centred in their cells."""
        east = self.west_m + (column + (np.arange(columns) + 0.5) * step_px) * self.pixel_m
        north = self.north_m - (row + (np.arange(rows) + 0.5) * step_px) * self.pixel_m
        return np.stack(np.meshgrid(east, north), axis=-1).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Cover:
    """The shown part of the map: positive inside, on a grid coarser than the canvas."""

    inside_m: NDArray[np.float32]
    """Distance to the edge of what is shown, metres; negative outside."""
    west_m: float
    north_m: float
    cell_m: float

    @property
    def area_m2(self) -> float:
        """Ground area shown."""
        return float(np.count_nonzero(self.inside_m > 0)) * self.cell_m**2

    def inside(self, canvas: Canvas, window: tuple[int, int, int, int]) -> NDArray[np.bool_]:
        """Return which pixels of ``window`` (column, row, width, height) are shown."""
        column, row, width, height = window
        scale = canvas.pixel_m / self.cell_m
        left = (canvas.west_m - self.west_m) / self.cell_m + (column + 0.5) * scale - 0.5
        top = (self.north_m - canvas.north_m) / self.cell_m + (row + 0.5) * scale - 0.5
        warp = np.array([[scale, 0, left], [0, scale, top]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        edge = float(self.inside_m.min())
        inside = cv2.warpAffine(self.inside_m, warp, (width, height), flags=flags, borderValue=edge)
        return np.asarray(inside > 0)


def plan_canvas(
    views: list[View], surface: Surface, options: EngineOptions
) -> tuple[Canvas, Cover, list[str]]:
    """Return the map's grid, what of it to show, and warnings for the user.

    Raises:
        EngineError: ``NO_OVERLAP``, no ground is seen at all.
    """
    warnings: list[str] = []
    pixel_m = max(ground_sample_distance_m(views, surface), options.orthophoto_resolution_cm / 100)
    footprints = [view.footprint(surface) for view in views]
    everything = _grid(np.concatenate(footprints), pixel_m)
    cover = _cover(views, footprints, surface, everything, options.crop_m, warnings)
    canvas = _shown(cover, pixel_m)
    cap_pixels = options.max_canvas_megapixels * 1e6
    if canvas.width * canvas.height > cap_pixels:
        pixel_m *= math.sqrt(canvas.width * canvas.height / cap_pixels)
        warnings.append(
            f"The map would have {canvas.megapixels:.0f} megapixels; its pixel is {pixel_m * 100:.1f} cm "
            f"instead of {canvas.pixel_m * 100:.1f} cm to stay within {options.max_canvas_megapixels:.0f}."
        )
        canvas = _shown(cover, pixel_m)
    return canvas, cover, warnings


def _grid(ground: Floats, pixel_m: float) -> Canvas:
    """Return a grid over ``ground`` whose corner is a multiple of the pixel, so that runs line up."""
    (west, south), (east, north) = ground.min(axis=0), ground.max(axis=0)
    west_m, north_m = math.floor(west / pixel_m) * pixel_m, math.ceil(north / pixel_m) * pixel_m
    width, height = (math.ceil(span / pixel_m) for span in (east - west_m, north_m - south))
    return Canvas(west_m, north_m, pixel_m, max(width, 1), max(height, 1))


def _shown(cover: Cover, pixel_m: float) -> Canvas:
    rows, columns = np.nonzero(cover.inside_m > 0)
    if not len(rows):
        raise EngineError("NO_OVERLAP", "No ground is seen by the photos that could be placed.")
    east = cover.west_m + np.array([columns.min(), columns.max() + 1]) * cover.cell_m
    north = cover.north_m - np.array([rows.min(), rows.max() + 1]) * cover.cell_m
    return _grid(np.stack([east, north], axis=1), pixel_m)


def _cover(
    views: list[View],
    footprints: list[Floats],
    surface: Surface,
    canvas: Canvas,
    crop_m: float,
    warnings: list[str],
) -> Cover:
    """Return what is seen by two photos, drawn in by ``crop_m``; with 0 all that is seen at all."""
    seen, cell_m = count_photos(views, footprints, surface, canvas)
    needed = _COVER_PHOTOS if crop_m > 0 else 1
    inside_m = _distance(_outlined(seen >= needed), cell_m) - np.float32(crop_m)
    if crop_m > 0 and not (inside_m > 0).any():
        warnings.append(
            f"Nothing is left {crop_m:g} m inside the edge of the overlap, so the map is not cropped."
        )
        inside_m = _distance(_outlined(seen >= 1), cell_m)
    frame_m = _FRAME_CELLS * cell_m
    return Cover(inside_m, canvas.west_m - frame_m, canvas.north_m + frame_m, cell_m)


def _outlined(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask without holes: a tree top seen once within the site is no edge of the survey."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    filled = cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
    return filled.astype(np.bool_)


def _distance(mask: NDArray[np.bool_], cell_m: float) -> NDArray[np.float32]:
    """Return metres to the mask's edge, positive inside, on a grid that is framed by empty cells.

    The grid's steps are evened out, so that the outline is no staircase.
    """
    framed = np.pad(mask, _FRAME_CELLS).astype(np.uint8)
    inner, outer = (
        cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for part in (framed, 1 - framed)
    )
    signed = np.where(framed, inner - 0.5, 0.5 - outer) * cell_m
    return cv2.GaussianBlur(signed.astype(np.float32), (0, 0), _OUTLINE_BLUR_CELLS).astype(np.float32)


def count_photos(
    views: list[View], footprints: list[Floats], surface: Surface, canvas: Canvas
) -> tuple[NDArray[np.uint16], float]:
    """Return how many photos see each cell of a coarse grid over the canvas, and its side in metres."""
    step_px = max(float(GRID_PX), math.sqrt(canvas.width * canvas.height / _COVER_CELLS))
    columns, rows = (math.ceil(side / step_px) for side in (canvas.width, canvas.height))
    cell_m = step_px * canvas.pixel_m
    ground = canvas.nodes(0, 0, columns, rows, step_px)
    points = np.column_stack([ground, heights_at(surface, ground)]).reshape(rows, columns, 3)
    seen = np.zeros((rows, columns), np.uint16)
    for view, outline in zip(views, footprints, strict=True):
        box = _box(outline, canvas, cell_m, columns, rows)
        part = points[box]
        seen[box] += view.sees(view.project(part.reshape(-1, 3))).reshape(part.shape[:2])
    return seen, cell_m


def _box(outline: Floats, canvas: Canvas, cell_m: float, columns: int, rows: int) -> tuple[slice, slice]:
    """Return the rows and columns of a grid over the canvas that an outline may touch."""
    across = (outline[:, 0] - canvas.west_m) / cell_m
    down = (canvas.north_m - outline[:, 1]) / cell_m
    left, right = (int(np.clip(side, 0, columns)) for side in (across.min() - 1, across.max() + 2))
    top, bottom = (int(np.clip(side, 0, rows)) for side in (down.min() - 1, down.max() + 2))
    return slice(top, bottom), slice(left, right)
