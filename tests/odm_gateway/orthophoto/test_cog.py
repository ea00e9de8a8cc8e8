from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate

from odm_gateway.orthophoto.cog import RasterFrame, new_map, read_rgba, write_heights, write_png

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TRANSFORM = Affine(0.05, 0, 424_000, 0, -0.05, 5_188_000)
TAGS = {"PROCESSOR": "fast-orthophoto"}
TILE = 1024


def picture(width: int, height: int, seed: int = 1) -> NDArray[np.uint8]:
    """Return noise with a transparent corner."""
    rgba = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    rgba[:, :, 3] = 255
    rgba[: height // 3, : width // 4] = 0
    return rgba


def write_map(path: Path, rgba: NDArray[np.uint8]) -> None:
    height, width = rgba.shape[:2]
    with new_map(path, RasterFrame(width, height, TRANSFORM, 32615), TAGS, threads=1) as draft:
        for row in range(0, height, TILE):
            for column in range(0, width, TILE):
                draft.write(rgba[row : row + TILE, column : column + TILE], column, row)


@pytest.mark.parametrize(("width", "height"), [(300, 200), (1025, 700), (2311, 1533)])
def test_given_tiles_when_written_then_the_map_is_a_valid_cog(
    tmp_path: Path, width: int, height: int
) -> None:
    write_map(tmp_path / "map.tif", picture(width, height))

    valid, errors, warnings = cog_validate(tmp_path / "map.tif", strict=True, quiet=True)

    assert valid
    assert errors == warnings == []


def test_given_tiles_when_written_then_pixels_and_place_are_kept(tmp_path: Path) -> None:
    rgba = picture(1500, 1100)
    write_map(tmp_path / "map.tif", rgba)

    with rasterio.open(tmp_path / "map.tif") as raster:
        assert np.array_equal(raster.read().transpose(1, 2, 0), rgba)
        assert (raster.crs.to_epsg(), raster.transform) == (32615, TRANSFORM)
        assert raster.colorinterp[3] == ColorInterp.alpha


def test_given_a_map_when_written_then_blocks_tag_and_packing_are_as_agreed(tmp_path: Path) -> None:
    write_map(tmp_path / "map.tif", picture(1500, 1100))

    with rasterio.open(tmp_path / "map.tif") as raster:
        assert raster.tags()["PROCESSOR"] == "fast-orthophoto"
        assert set(raster.block_shapes) == {(512, 512)}
        assert (raster.profile["compress"], raster.overviews(1)) == ("deflate", [2, 4])


def test_given_a_transparent_neighbour_when_shrunk_then_the_edge_keeps_its_colour(tmp_path: Path) -> None:
    rgba = np.full((1201, 1601, 4), (200, 100, 50, 255), np.uint8)
    rgba[:, :801] = 0
    write_map(tmp_path / "map.tif", rgba)

    small = read_rgba(tmp_path / "map.tif", 450)

    assert small.shape[1] == 401
    assert np.abs(small[small[:, :, 3] > 100, :3].astype(int) - (200, 100, 50)).max() <= 2


def test_given_a_failure_while_drawing_then_nothing_is_left(tmp_path: Path) -> None:
    frame = RasterFrame(1500, 1100, TRANSFORM, 32615)

    def fail() -> None:
        with new_map(tmp_path / "map.tif", frame, TAGS, threads=1) as draft:
            draft.write(picture(1024, 1024), 0, 0)
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert list(tmp_path.iterdir()) == []


def test_given_heights_when_written_then_they_are_read_back_with_nodata(tmp_path: Path) -> None:
    heights = np.linspace(190, 210, 700 * 600, dtype=np.float32).reshape(600, 700)
    heights[:50] = -9999
    write_heights(tmp_path / "dsm.tif", RasterFrame(700, 600, TRANSFORM, 32615), heights, -9999, {})

    with rasterio.open(tmp_path / "dsm.tif") as raster:
        assert raster.nodata == -9999
        assert np.array_equal(raster.read(1), heights)
    assert cog_validate(tmp_path / "dsm.tif", strict=True, quiet=True)[0]


def test_given_a_large_map_when_previewed_then_no_side_is_too_long(tmp_path: Path) -> None:
    write_map(tmp_path / "map.tif", picture(2311, 1533))

    write_png(tmp_path / "map.png", read_rgba(tmp_path / "map.tif", 1200))

    preview = cv2.imread(str(tmp_path / "map.png"), cv2.IMREAD_UNCHANGED)
    assert preview is not None
    assert preview.shape == (767, 1156, 4)
    assert (preview[:200, :250] == 0).all()
