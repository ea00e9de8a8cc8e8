"""The orthophoto itself: photos laid on the surface tile by tile, in memory that does not grow with it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from .blend import Window, blend, tile_glances
from .canvas import GRID_PX, plan_canvas
from .pictures import PictureCache, blurred, load_picture
from .views import ground_sample_distance_m, views_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .canvas import Canvas, Cover
    from .models import Block, Floats, Surface
    from .options import EngineOptions
    from .pictures import Picture
    from .views import View

Tile = NDArray[np.uint8]

TILE_PX: Final = 1024
_FULL_BYTES: Final = 384 * 2**20
_SMALL_BYTES: Final = 96 * 2**20
_LEVEL_BLUR: Final = 5.0
"""Of the low band, in its pixels: what is no wider, as a leaning tree, must not shine through."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is settled before the first tile."""

    views: list[View]
    footprints: list[Floats]
    surface: Surface
    canvas: Canvas
    cover: Cover
    gains: Floats
    photo_pixel_m: float
    warnings: list[str]


def plan_mosaic(block: Block, surface: Surface, options: EngineOptions) -> Plan:
    """Settle the map's grid, what of it to show and which ground each photo shows.

    Raises:
        EngineError: ``NO_OVERLAP``, no ground is seen at all.
    """
    views = views_of(block)
    canvas, cover, warnings = plan_canvas(views, surface, options)
    gains = block.gains if len(block.gains) else np.ones((len(views), 3))
    footprints = [view.footprint(surface) for view in views]
    photo_pixel_m = ground_sample_distance_m(views, surface)
    return Plan(views, footprints, surface, canvas, cover, gains, photo_pixel_m, warnings)


def tile_windows(canvas: Canvas) -> list[Window]:
    """Return the canvas in tiles, to and fro across its shorter side: neighbours need the same photos."""
    columns, rows = range(0, canvas.width, TILE_PX), range(0, canvas.height, TILE_PX)
    if len(columns) <= len(rows):
        order = [(left, top) for top in rows for left in columns[:: -1 if top // TILE_PX % 2 else 1]]
    else:
        order = [(left, top) for left in columns for top in rows[:: -1 if left // TILE_PX % 2 else 1]]
    return [
        (left, top, min(TILE_PX, canvas.width - left), min(TILE_PX, canvas.height - top))
        for left, top in order
    ]


def render(plan: Plan, threads: int) -> Iterator[tuple[Window, Tile | None]]:
    """Yield every tile as ``(height, width, 4)`` RGBA, or ``None`` where nothing is shown.

    Raises:
        EngineError: ``UNREADABLE``, a photo changed or vanished since it was scanned.
    """
    draw = _Tiles(plan, PictureCache.of(_FULL_BYTES), PictureCache.of(_SMALL_BYTES)).draw
    windows = iter(tile_windows(plan.canvas))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tile")
    try:
        waiting = [(window, pool.submit(draw, window)) for window in islice(windows, threads + 1)]
        while waiting:
            window, tile = waiting.pop(0)
            yield window, tile.result()
            waiting.extend((window, pool.submit(draw, window)) for window in islice(windows, 1))
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Tiles:
    plan: Plan
    full: PictureCache
    small: PictureCache

    def draw(self, window: Window) -> Tile | None:
        shown = self.plan.cover.inside(self.plan.canvas, window)
        if not shown.any():
            return None
        glances = tile_glances(self._near(window), self.plan.surface, self.plan.canvas, window)
        if not glances:
            return None
        color, seen = blend(glances, window, self._full, self._small)
        alpha = shown & seen
        color[~alpha] = 0
        return np.concatenate([color, alpha[:, :, None] * np.uint8(255)], axis=2)

    def _near(self, window: Window) -> list[View]:
        """Return the photos whose outline may reach into a window."""
        column, row, width, height = window
        canvas, margin = self.plan.canvas, 2 * GRID_PX
        low = (
            canvas.west_m + (column - margin) * canvas.pixel_m,
            canvas.north_m - (row + height + margin) * canvas.pixel_m,
        )
        high = (
            canvas.west_m + (column + width + margin) * canvas.pixel_m,
            canvas.north_m - (row - margin) * canvas.pixel_m,
        )
        outlines = zip(self.plan.views, self.plan.footprints, strict=True)
        return [
            view
            for view, ground in outlines
            if (ground.max(0) >= low).all() and (ground.min(0) <= high).all()
        ]

    def _full(self, view: View) -> Picture:
        return self.full.get(view.index, lambda: self._load(view, 1))

    def _small(self, view: View) -> Picture:
        return self.small.get(view.index, lambda: blurred(self._load(view, GRID_PX), _LEVEL_BLUR))

    def _load(self, view: View, pixels: int) -> Picture:
        shrink = pixels * self.plan.canvas.pixel_m / self.plan.photo_pixel_m
        return load_picture(view.photo, shrink, self.plan.gains[view.index])
