from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from odm_gateway.orthophoto.mosaic import plan_mosaic
from odm_gateway.orthophoto.options import EngineOptions
from odm_gateway.orthophoto.products import cameras, images, shots, write_json, write_surface_model
from tests.support.scene import EPSG, ORIGIN, Scene, photographed

if TYPE_CHECKING:
    from pathlib import Path

    from odm_gateway.orthophoto.models import Block, Surface

CAMERA = "v2 maker model x 320 240 brown 0.8"


@pytest.fixture(scope="module")
def reconstructed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Block, Surface]:
    return photographed(Scene(slope_east=0.1), tmp_path_factory.mktemp("scene"))


def test_given_a_block_when_told_then_shots_stand_where_their_poses_say(
    reconstructed: tuple[Block, Surface],
) -> None:
    block, _ = reconstructed
    features = json.loads(json.dumps(shots(block)))["features"]
    to_grid = Transformer.from_crs(4326, EPSG, always_xy=True)

    for feature, pose in zip(features, block.poses, strict=True):
        longitude, latitude, altitude = feature["geometry"]["coordinates"]
        assert feature["properties"]["translation"] == pytest.approx(pose.position + ORIGIN)
        assert (*to_grid.transform(longitude, latitude), altitude) == pytest.approx(pose.position + ORIGIN)


def test_given_a_block_when_told_then_rotations_turn_the_world_to_the_camera(
    reconstructed: tuple[Block, Surface],
) -> None:
    block, _ = reconstructed
    features = json.loads(json.dumps(shots(block)))["features"]

    for feature, pose in zip(features, block.poses, strict=True):
        matrix, _ = cv2.Rodrigues(np.array(feature["properties"]["rotation"]))
        assert matrix == pytest.approx(pose.rotation, abs=1e-9)


def test_given_a_block_when_told_then_shots_carry_odms_properties(
    reconstructed: tuple[Block, Surface],
) -> None:
    first = json.loads(json.dumps(shots(reconstructed[0])))["features"][0]["properties"]

    assert set(first) == {
        "filename", "camera", "focal", "width", "height", "capture_time", "translation", "rotation",
    }  # fmt: skip
    assert (first["filename"], first["camera"], first["focal"]) == ("photo_00.jpg", CAMERA, 0.8)
    assert first["capture_time"] == 1_777_636_800.0


def test_given_a_lens_when_told_then_the_camera_has_opensfms_name_and_form(
    reconstructed: tuple[Block, Surface],
) -> None:
    camera = json.loads(json.dumps(cameras(reconstructed[0])))[CAMERA]

    assert (camera["projection_type"], camera["width"], camera["height"]) == ("brown", 320, 240)
    assert [camera[key] for key in ("focal_x", "focal_y", "k1", "k2", "p1")] == [0.8, 0.8, 0.02, -0.01, 0.0]


def test_given_photos_when_told_then_images_repeat_their_metadata(
    reconstructed: tuple[Block, Surface],
) -> None:
    block, _ = reconstructed
    nameless = replace(block, photos=(replace(block.photos[0], taken_at=None), *block.photos[1:]))

    first, second = json.loads(json.dumps(images(nameless)))[:2]

    assert first["utc_time"] is None
    assert (second["filename"], second["camera_model"]) == ("photo_01.jpg", "Model X")
    assert second["latitude"] == pytest.approx(block.photos[1].latitude_deg)


def test_given_a_slope_when_the_surface_is_written_then_heights_are_absolute(
    reconstructed: tuple[Block, Surface], tmp_path: Path
) -> None:
    block, surface = reconstructed
    plan = plan_mosaic(block, surface, EngineOptions(max_concurrency=1))
    write_surface_model(tmp_path / "dsm.tif", block, surface, plan.cover)

    with rasterio.open(tmp_path / "dsm.tif") as raster:
        inside, outside = ((ORIGIN[0] + east, ORIGIN[1] + 6) for east in (11, 90))
        assert next(raster.sample([inside]))[0] == pytest.approx(ORIGIN[2] + 0.1 * 11, abs=0.01)
        assert next(raster.sample([outside]))[0] == -9999


def test_given_a_number_that_json_lacks_when_written_then_it_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "stats.json", {"value": float("nan")})

    assert list(tmp_path.iterdir()) == []
