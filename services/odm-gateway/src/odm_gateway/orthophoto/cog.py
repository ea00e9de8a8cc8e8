"""Cloud-optimised GeoTIFFs, written in bounded memory."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.errors import RasterioIOError
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from .files import replacing, write_bytes
from .space import is_full

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rasterio.io import DatasetWriter

Rgba = NDArray[np.uint8]
"""(rows, columns, 4) red, green, blue and alpha."""

_BLOCK_PX: Final = 512
_GDAL_CACHE_MB: Final = 64
_COG: Final = {
    "driver": "COG",
    "COMPRESS": "DEFLATE",
    # 6 is three times slower than 4 and saves a tenth.
    "LEVEL": "4",
    "BLOCKSIZE": str(_BLOCK_PX),
    "OVERVIEWS": "AUTO",
    "OVERVIEW_RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
}
_DRAFT: Final = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": _BLOCK_PX,
    "blockysize": _BLOCK_PX,
    "SPARSE_OK": True,
    "compress": "ZSTD",
    "ZSTD_LEVEL": 1,
    "BIGTIFF": "IF_SAFER",
}
_RGBA: Final = {"count": 4, "dtype": "uint8", "photometric": "RGB", "ALPHA": "YES"}
_HEIGHTS: Final = {"count": 1, "dtype": "float32"}


@dataclass(frozen=True, slots=True)
class RasterFrame:
    """Size and place of a raster."""

    width: int
    height: int
    transform: Affine
    epsg: int

    def halved(self) -> RasterFrame:
        """Return the frame of the next overview."""
        width, height = -(-self.width // 2), -(-self.height // 2)
        return RasterFrame(width, height, self.transform @ Affine.scale(2), self.epsg)

    def profile(self) -> dict[str, object]:
        """Return rasterio's keywords."""
        size = {"width": self.width, "height": self.height}
        return {**size, "transform": self.transform, "crs": f"EPSG:{self.epsg}"}


@dataclass(frozen=True, slots=True)
class MapDraft:
    """A map being drawn together with its overviews, which GDAL alone would make ten times slower."""

    levels: list[DatasetWriter]

    def write(self, tile: Rgba, column: int, row: int) -> None:
        """Write a tile; its corner is a multiple of the tile's full size. Transparent pixels must be 0."""
        for level, raster in enumerate(self.levels):
            height, width = tile.shape[:2]
            window = Window(column >> level, row >> level, width, height)
            raster.write(_unmultiplied(tile).transpose(2, 0, 1), window=window)
            tile = _halved(tile)


def _halved(tile: Rgba) -> Rgba:
    """Return the mean of each 2 x 2 pixels, transparent beyond the edge."""
    height, width = tile.shape[:2]
    even = cv2.copyMakeBorder(tile, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8)


def _unmultiplied(tile: Rgba) -> Rgba:
    """Return means over opaque and transparent pixels as means over the opaque ones."""
    alpha = tile[:, :, 3:]
    part = (alpha > 0) & (alpha < 255)  # noqa: PLR2004 - opaque
    if not part.any():
        return tile
    scaled = np.rint(np.minimum(tile[:, :, :3] * (255 / np.maximum(alpha, 1)), 255)).astype(np.uint8)
    return np.concatenate([np.where(part, scaled, tile[:, :, :3]), alpha], axis=2)


@contextmanager
def new_map(path: Path, frame: RasterFrame, tags: Mapping[str, str], threads: int) -> Iterator[MapDraft]:
    """Yield a map to draw; ``path`` is a complete COG once the block ends well."""
    with _optimised(path, threads, predictor=2) as draft, ExitStack() as opened:
        levels = [opened.enter_context(rasterio.open(draft, "w", **frame.profile(), **_RGBA, **_DRAFT))]
        levels[0].update_tags(**tags)
        while max(frame.width, frame.height) > _BLOCK_PX:
            frame = frame.halved()
            # GDAL takes X.ovr for the overview of X, and X.ovr.ovr for the overview of that.
            name = f"{draft}{'.ovr' * len(levels)}"
            raster = rasterio.open(name, "w", **frame.profile(), **_RGBA, **_DRAFT)
            levels.append(opened.enter_context(raster))
        yield MapDraft(levels)


def write_heights(
    path: Path, frame: RasterFrame, heights: NDArray[np.float32], nodata: float, tags: Mapping[str, str]
) -> None:
    """Write one band of heights as a COG."""
    with _optimised(path, threads=1, predictor=3) as draft:
        profile = {**frame.profile(), **_HEIGHTS, **_DRAFT, "nodata": nodata}
        with rasterio.open(draft, "w", **profile) as raster:
            raster.update_tags(**tags)
            raster.write(heights, 1)


@contextmanager
def _optimised(path: Path, threads: int, predictor: int) -> Iterator[Path]:
    """Yield where to write a draft, quick to write and to read, of the COG that is to be ``path``."""
    with replacing(path) as unfinished, rasterio.Env(GDAL_CACHEMAX=_GDAL_CACHE_MB, GDAL_NUM_THREADS=threads):
        draft = unfinished.with_name(f".draft{unfinished.name}")
        try:
            yield draft
            copy_raster(draft, unfinished, PREDICTOR=str(predictor), NUM_THREADS=str(threads), **_COG)
        except RasterioIOError as error:
            # GDAL does not say why; the unfinished files still fill the disk here.
            if is_full(path.parent):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
            raise
        finally:
            for left in draft.parent.glob(f"{draft.name}*"):
                left.unlink()


def read_rgba(raster: Path, longest_px: int) -> Rgba:
    """Return an RGBA raster in the largest of its overviews that has no side longer than ``longest_px``."""
    with rasterio.Env(GDAL_CACHEMAX=_GDAL_CACHE_MB), rasterio.open(raster) as source:
        step = 1
        while max(source.width, source.height) > longest_px * step:
            step *= 2
        rgba = source.read(out_shape=(4, -(-source.height // step), -(-source.width // step)))
    return np.asarray(rgba.transpose(1, 2, 0), np.uint8)


def write_png(path: Path, rgba: Rgba) -> None:
    """Write a picture as PNG."""
    _, png = cv2.imencode(
        ".png",
        cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA),
        [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE],
    )
    write_bytes(path, png.tobytes())
