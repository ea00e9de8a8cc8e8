"""How images lie on a common grid: by their WCS, or by their stars."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from astropy.io.fits import Header
from astropy.wcs import WCS
from numpy.typing import NDArray

from datalab.composing.grids import Grid, outline, sky_mapping
from datalab.fits.reader import FrameReader
from datalab.kernels.rectangles import Box
from datalab.kernels.registration import Match, Points, find_stars, match
from datalab.kernels.resampling import (
    Kernel,
    Mapping,
    PixelMap,
    Resampled,
    Window,
    binned,
    needed,
    pixel_map,
    resample,
    window,
)
from datalab.operations.operation import FileRef, OperationError, Progress, Work
from datalab.photometry.exposures import celestial

Way = Literal["auto", "wcs", "stars"]
"""How images are aligned; ``auto`` is by WCS where all have one."""
STRIP_PX: Final = 1 << 19
"""Pixels of an output that are made at once: what bounds the memory, whatever the number of images."""
RESAMPLED_AT_MOST_PX: Final = 32_766
"""A side, in pixels, of what OpenCV resamples and of what it makes: less than its SHRT_MAX."""
_STARS_SEEN_AT_PX: Final = 2048
"""The longer side of images in which stars are looked for; larger ones are binned."""


@dataclass(frozen=True, eq=False)
class Image:
    """An image of a file, and where it is on the sky."""

    reader: FrameReader

    @property
    def name(self) -> str:
        """Return what users know the file by."""
        return self.reader.name

    @property
    def header(self) -> Header:
        """Return what is said of it."""
        return self.reader.header

    @property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns."""
        return self.reader.shape

    @cached_property
    def sky(self) -> Grid:
        """Return where it is on the sky.

        Raises:
            OperationError: Its header does not say.
        """
        try:
            return Grid(celestial(self.header), self.shape)
        except OperationError as error:
            raise OperationError(f"{self.name}: {error}") from error

    @property
    def wcs(self) -> WCS | None:
        """Return its WCS, if it has one."""
        try:
            return self.sky.wcs
        except OperationError:
            return None

    def window(self, rows: slice, factor: int = 1) -> Window:
        """Return some rows, of which ``factor`` x ``factor`` pixels are made one."""
        height, width = self.shape
        start, stop = min(rows.start, height), min(rows.stop, height)
        if start >= stop:
            return Window(np.empty((0, width), np.float32), None, start, self.shape)
        found = window(self.reader.rows(start, stop), self.reader.bad(start, stop), start, height)
        return binned(found, factor) if factor > 1 else found


@dataclass(frozen=True)
class Placed:
    """An image, and where the pixels of a grid lie in it."""

    image: Image
    pixels: PixelMap

    @cached_property
    def _binned(self) -> tuple[int, PixelMap]:
        factor = self.pixels.steps
        return factor, self.pixels.binned(factor) if factor > 1 else self.pixels

    def rows(self, rows: slice, kernel: Kernel = "linear") -> Resampled:
        """Return some rows of the grid, of which no more of the image is read than they need."""
        factor, pixels = self._binned
        height = self.image.shape[0]
        need = needed(pixels, rows, -(-height // factor), kernel)
        found = resample(
            self.image.window(slice(need.start * factor, need.stop * factor), factor),
            pixels,
            rows,
            kernel,
        )
        if factor == 1:
            return found
        # means of what was binned are sums again
        return Resampled(found.weighted * np.float32(factor**2), found.covered)


def opened(stack: ExitStack, refs: Sequence[FileRef], work: Work) -> list[Image]:
    """Return the images of some inputs, whose files are closed with ``stack``.

    Raises:
        OperationError: One of them is no image.
    """
    return [Image(stack.enter_context(FrameReader(work.path(ref), ref.basename))) for ref in refs]


def part_of(progress: Progress, start: float = 0.0, stop: float = 0.9) -> Progress:
    """Return what tells the progress of a part of the work."""
    return lambda done: progress(start + done * (stop - start))


def filters_said(images: Sequence[Image]) -> str:
    """Return words on the filters of images, where they are not all the same."""
    names = sorted({str(image.reader.card("FILTER", "unknown")).strip() for image in images})
    return f" through the filters {', '.join(names)}" if len(names) > 1 else ""


def strips(shape: tuple[int, int]) -> list[slice]:
    """Return the rows of a grid in parts that are worked on one by one."""
    height, width = shape
    rows = max(32, STRIP_PX // max(1, width))
    return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]


def is_by_wcs(way: Way, images: Sequence[Image]) -> bool:
    """Return whether images are to be aligned by their WCS."""
    return way == "wcs" or (way == "auto" and all(image.wcs is not None for image in images))


def _checked(placed: Placed) -> Placed:
    """Return an image that can be resampled.

    Raises:
        OperationError: A side of it, or of the grid, is longer than OpenCV can.
    """
    name, factor = placed.image.name, placed.pixels.steps
    for what, shape, bins in ((name, placed.image.shape, factor), ("the result", placed.pixels.shape, 1)):
        if -(-max(shape) // bins) > RESAMPLED_AT_MOST_PX:
            raise OperationError(
                f"{what} has {shape[1]} x {shape[0]} pixels; images can be brought onto others only with no"
                f" more than {RESAMPLED_AT_MOST_PX} pixels a side"
            )
    return placed


def placed_on_sky(images: Sequence[Image], grid: Grid) -> list[Placed]:
    """Return how images lie on a grid on the sky.

    Raises:
        OperationError: One has no WCS.
    """
    return [
        _checked(Placed(image, pixel_map(sky_mapping(grid.wcs, image.sky.wcs), grid.shape)))
        for image in images
    ]


def placed_on(reference: Image, images: Sequence[Image], way: Way) -> list[Placed]:
    """Return how images lie on the pixels of one of them.

    Raises:
        OperationError: One has no WCS and must have one, its stars do not match, or it shows something else.
    """
    if is_by_wcs(way, [reference, *images]):
        found = [Placed(image, _by_wcs(reference, image)) for image in images]
    else:
        stars = seen_stars(reference) if any(image is not reference for image in images) else None
        found = [Placed(image, _by_stars(reference, image, stars)) for image in images]
    for placed in found:
        _checked(placed)
        if not _overlaps(placed):
            raise OperationError(f"{placed.image.name} shows no part of the sky that {reference.name} shows")
    return found


def _by_wcs(reference: Image, image: Image) -> PixelMap:
    mapping = _itself if image is reference else sky_mapping(reference.sky.wcs, image.sky.wcs)
    return pixel_map(mapping, reference.shape)


def _by_stars(reference: Image, image: Image, stars: Points | None) -> PixelMap:
    if image is reference or stars is None:
        return pixel_map(_itself, reference.shape)
    theirs = seen_stars(image)
    found = match(stars, theirs)
    if found is None:
        raise OperationError(
            f"the stars of {image.name} do not match those of {reference.name}"
            f" ({len(theirs)} and {len(stars)} stars were looked at)"
        )
    mapping: Mapping = found
    return pixel_map(mapping, reference.shape)


def cropped(placed: Placed, box: Box) -> Placed:
    """Return how an image lies on a part of the grid, when that is by a matrix."""
    matrix = placed.pixels.affine
    if matrix is None:
        raise ValueError("an image that is bent cannot be cut")
    moved = Match(matrix, 0, 0.0)
    return Placed(placed.image, pixel_map(lambda x, y: moved(x + box.left, y + box.bottom), box.shape))


def edges_on_grid(placed: Placed) -> tuple[Points, Points]:
    """Return where the edges of an image lie on the grid, when that is by a matrix."""
    matrix = placed.pixels.affine
    if matrix is None:
        raise ValueError("an image that is bent has no inverse")
    x, y = outline(placed.image.shape)
    back = np.linalg.inv(matrix[:, :2])
    on_grid = back @ (np.stack([x, y]) - matrix[:, 2:])
    return on_grid[0], on_grid[1]


def _itself(x: Points, y: Points) -> tuple[Points, Points]:
    return x, y


def _overlaps(placed: Placed) -> bool:
    """Return whether the image lies between any four nodes, as far as rectangles around them tell."""
    height, width = placed.image.shape
    return bool((_meets(placed.pixels.x, width) & _meets(placed.pixels.y, height)).any())


def _meets(nodes: Points, side: int) -> NDArray[np.bool_]:
    """Return between which nodes one coordinate is within an image, of as many pixels."""
    edges = nodes + 0.5  # a pixel is where its middle is
    corners = edges[:-1, :-1], edges[:-1, 1:], edges[1:, :-1], edges[1:, 1:]
    meets: NDArray[np.bool_] = (np.fmin.reduce(corners) < side) & (np.fmax.reduce(corners) > 0)
    return meets


def seen_stars(image: Image) -> Points:
    """Return the brightest stars of an image, in its pixels."""
    factor = -(-max(image.shape) // _STARS_SEEN_AT_PX)
    height, width = (-(-side // factor) for side in image.shape)
    values, unknown = np.empty((height, width), np.float32), np.zeros((height, width), np.bool_)
    for rows in strips(image.shape):
        start, stop = -(-rows.start // factor), -(-rows.stop // factor)
        part = image.window(slice(start * factor, stop * factor), factor)
        values[start:stop] = part.values
        if part.valid is not None:
            np.logical_not(part.valid, out=unknown[start:stop])
    stars = find_stars(values, unknown)
    stars[:, :2] = (stars[:, :2] + 0.5) * factor - 0.5
    return stars


def placed_unaligned(reference: Image, images: Sequence[Image]) -> list[Placed]:
    """Return images pixel by pixel on the reference."""
    return [_checked(Placed(image, pixel_map(_itself, reference.shape))) for image in images]
