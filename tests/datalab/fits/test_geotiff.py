"""Products of photogrammetry can be looked at: the first band of a TIFF is an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from datalab.fits.reader import FrameReader, read_frame
from datalab.operations.operation import OperationError

pytestmark = pytest.mark.filterwarnings(
    "ignore::PendingDeprecationWarning", "ignore:Dataset has no geotransform"
)


def geotiff(pixels: Any, **how: Any) -> bytes:
    bands, height, width = pixels.shape
    with MemoryFile() as file:
        with file.open(
            driver="GTiff",
            width=width,
            height=height,
            count=bands,
            dtype=pixels.dtype,
            crs="EPSG:32633",
            transform=from_origin(5e5, 5e6, 0.1, 0.1),
            **how,
        ) as band:
            band.write(pixels)
        return bytes(file.read())


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"},
        {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate", "predictor": "2"},
        {"tiled": True, "blockxsize": 32, "blockysize": 64, "compress": "lzw", "interleave": "band"},
        {"blockysize": 7, "compress": "zstd"},
        {"compress": "packbits"},
        {"BIGTIFF": "YES", "interleave": "band"},
    ],
)
def test_the_first_band_is_read_lowest_row_first(tmp_path: Path, kind: str, bands: int, how: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 250, (bands, 90, 130)).astype(kind)
    path = tmp_path / "orthophoto.tif"
    path.write_bytes(geotiff(pixels, **how))

    frame = read_frame(path)

    assert frame.pixels.dtype == np.dtype(kind)
    assert np.array_equal(frame.pixels, pixels[0, ::-1])
    with FrameReader(path) as reader:
        assert np.array_equal(reader.rows(3, 9), pixels[0, ::-1][3:9])


@pytest.mark.parametrize("how", [{"predictor": "3", "compress": "deflate"}, {"endianness": "BIG"}])
def test_heights_are_read_and_what_is_no_height_is_nan(tmp_path: Path, how: Any) -> None:
    heights = np.random.default_rng(0).normal(500, 20, (1, 90, 130)).astype(np.float32)
    heights[0, :30, ::2] = -9999
    path = tmp_path / "dsm.tif"
    path.write_bytes(geotiff(heights, nodata=-9999, **how))

    pixels = read_frame(path).pixels

    known = np.where(heights == -9999, np.nan, heights)[0, ::-1]
    assert np.isnan(known).sum() == 30 * 65
    assert np.array_equal(pixels, known, equal_nan=True)


def test_a_picture_that_was_packed_as_photographs_are_is_read(tmp_path: Path) -> None:
    picture = np.full((3, 64, 64), 90, np.uint8)
    path = tmp_path / "orthophoto.tif"
    path.write_bytes(geotiff(picture, compress="jpeg", photometric="YCBCR"))

    assert np.abs(read_frame(path).pixels.astype(int) - 90).max() <= 2


def test_a_tile_that_was_left_out_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "orthophoto.tif"
    path.write_bytes(
        geotiff(np.zeros((1, 128, 128), np.uint8), tiled=True, blockxsize=64, blockysize=64, SPARSE_OK=True)
    )

    assert not read_frame(path).pixels.any()


@pytest.mark.parametrize("tag", [257, 322, 324])
def test_sizes_beyond_all_bounds_are_refused(tmp_path: Path, tag: int) -> None:
    content = bytearray(geotiff(np.zeros((1, 90, 130), np.uint8), tiled=True, blockxsize=64, blockysize=64))
    entry = next(at for at in range(len(content)) if content[at : at + 2] == tag.to_bytes(2, "little"))
    content[entry + 2 : entry + 12] = (4).to_bytes(2, "little") + (1).to_bytes(4, "little") + b"\xff" * 4
    path = tmp_path / "a.tif"
    path.write_bytes(content)

    with pytest.raises(OperationError, match=r"a\.tif is"):
        read_frame(path)


@pytest.mark.parametrize("size", [4, 6, 40, 3000])
def test_a_truncated_one_is_refused(tmp_path: Path, size: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 250, (1, 90, 130)).astype(np.uint8)
    path = tmp_path / "a.tif"
    path.write_bytes(geotiff(pixels, compress="deflate")[:size])

    with pytest.raises(OperationError, match=r"a\.tif is"):
        read_frame(path)
