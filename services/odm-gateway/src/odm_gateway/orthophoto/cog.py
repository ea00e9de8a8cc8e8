"""Cloud-optimised GeoTIFFs, written in bounded memory, and the preview of one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import cv2
import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.shutil import copy as copy_raster

from .files import replacing, write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from rasterio.io import DatasetWriter
    from rasterio.transform import Affine

_BLOCK_PX: Final = 512
_GDAL_CACHE_MB: Final = 64
_COG: Final = {
    "driver": "COG",
    "COMPRESS": "DEFLATE",
    "BLOCKSIZE": str(_BLOCK_PX),
    "OVERVIEW_RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
}


@dataclass(frozen=True, slots=True)
class RasterFrame:
    """Size, content and place of a raster."""

    width: int
    height: int
    transform: Affine
    epsg: int
    content: Literal["rgba", "heights"]
    tags: Mapping[str, str] = field(default_factory=dict)
    nodata: float | None = None

    def draft_profile(self) -> dict[str, object]:
        """Return how rasterio is to write the draft: quick to write and to read, never seen by anyone."""
        bands = (
            {"count": 4, "dtype": "uint8", "photometric": "RGB", "ALPHA": "YES"}
            if self.content == "rgba"
            else {"count": 1, "dtype": "float32", "nodata": self.nodata}
        )
        place = {
            "width": self.width,
            "height": self.height,
            "transform": self.transform,
            "crs": f"EPSG:{self.epsg}",
        }
        tiling = {"tiled": True, "blockxsize": _BLOCK_PX, "blockysize": _BLOCK_PX, "SPARSE_OK": True}
        packing = {"compress": "ZSTD", "ZSTD_LEVEL": 1, "BIGTIFF": "IF_SAFER"}
        return {"driver": "GTiff", **place, **bands, **tiling, **packing}


@contextmanager
def new_cog(path: Path, frame: RasterFrame, threads: int) -> Iterator[DatasetWriter]:
    """Yield a raster to fill window by window; ``path`` is a complete COG once the block ends well."""
    with replacing(path) as unfinished, rasterio.Env(GDAL_CACHEMAX=_GDAL_CACHE_MB, GDAL_NUM_THREADS=threads):
        draft = unfinished.with_name(f".draft{unfinished.name}")
        try:
            with rasterio.open(draft, "w", **frame.draft_profile()) as raster:
                raster.update_tags(**frame.tags)
                yield raster
            predictor = "2" if frame.content == "rgba" else "3"
            copy_raster(draft, unfinished, PREDICTOR=predictor, NUM_THREADS=str(threads), **_COG)
        finally:
            draft.unlink(missing_ok=True)


def read_rgba(raster: Path, longest_px: int) -> NDArray[np.uint8]:
    """Return an RGBA raster as ``(rows, columns, 4)``, no side longer than ``longest_px``."""
    with rasterio.Env(GDAL_CACHEMAX=_GDAL_CACHE_MB), rasterio.open(raster) as source:
        shrink = max(1.0, max(source.width, source.height) / longest_px)
        shape = (4, max(1, int(source.height / shrink)), max(1, int(source.width / shrink)))
        rgba = source.read(out_shape=shape, resampling=Resampling.average)
    return np.asarray(rgba.transpose(1, 2, 0), np.uint8)


def write_png(path: Path, rgba: NDArray[np.uint8]) -> None:
    """Write ``(rows, columns, 4)`` RGBA as PNG."""
    _, png = cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    write_bytes(path, png.tobytes())
