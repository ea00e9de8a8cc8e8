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


@pytest.mark.parametrize("size", [4, 6, 40, 3000])
def test_a_truncated_one_is_refused(tmp_path: Path, size: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 250, (1, 90, 130)).astype(np.uint8)
    path = tmp_path / "a.tif"
    path.write_bytes(geotiff(pixels, compress="deflate")[:size])

    with pytest.raises(OperationError, match=r"a\.tif is"):
        read_frame(path)
