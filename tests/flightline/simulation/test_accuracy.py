from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import rasterio
from rasterio import Affine

from flightline.simulation.accuracy import (
    compare_block,
    compare_cameras,
    compare_orthophoto,
    compare_surface,
)
from odm_gateway.orthophoto.models import Block, Lens, Photo, Pose, Residuals

if TYPE_CHECKING:
    from pathlib import Path

    from flightline.simulation.truth import Truth
    from odm_gateway.orthophoto.models import Floats


def block_of(truth: Truth, *, move: Floats | None = None, lens: Lens | None = None) -> Block:
    """Return the true block, moved or seen through another lens."""
    offset = np.zeros(3) if move is None else move
    size = truth.camera.width, truth.camera.height
    photos = tuple(
        Photo(
            p.name,
            truth.directory / p.name,
            *size,
            0.0,
            0.0,
            None,
            None,
            None,
            0.72,
            0.01,
            "",
            "",
            taken_at=None,
        )
        for p in truth.photos
    )
    poses = tuple(Pose(p.pose.rotation, p.pose.position + offset) for p in truth.photos)
    nothing = np.zeros((0, 3))
    return Block(
        truth.epsg, truth.origin, lens or truth.camera.lens, photos, poses, nothing,
        nothing.astype(np.uint8), Residuals(0, 0, 0), 0.0,
    )  # fmt: skip


def write_shots(path: Path, truth: Truth, move: Floats, turn_deg: float = 0.0) -> None:
    turn = cv2.Rodrigues(np.deg2rad([0, 0, turn_deg]))[0]
    shots = [
        {
            "properties": {
                "filename": photo.name,
                "translation": (photo.pose.position + truth.origin + move).tolist(),
                "rotation": cv2.Rodrigues(turn @ photo.pose.rotation)[0][:, 0].tolist(),
            }
        }
        for photo in truth.photos
    ]
    path.write_text(json.dumps({"features": shots}))


def write_shifted(
    path: Path, truth: Truth, east_m: float, north_m: float, *, epsg: int | None = None
) -> None:
    """Write the true orthophoto, displaced."""
    with rasterio.open(truth.orthophoto_path) as source:
        bands, profile = source.read(), source.profile
    here = profile["transform"]
    profile["transform"] = Affine(here.a, 0, here.c + east_m, 0, here.e, here.f + north_m)
    profile["crs"] = f"EPSG:{epsg or truth.epsg}"
    with rasterio.open(path, "w", **profile) as target:
        target.write(bands)


def test_true_block_is_without_error(truth: Truth) -> None:
    accuracy = compare_block(truth, block_of(truth))

    assert accuracy.rmse_m < 1e-6
    assert accuracy.points > 300
    assert accuracy.coverage == 1


def test_moved_block_shows_its_offset_alone(truth: Truth) -> None:
    accuracy = compare_block(truth, block_of(truth, move=np.array([0.4, -0.3, 0.2])))

    assert accuracy.offset_m == pytest.approx((0.4, -0.3), abs=1e-6)
    assert accuracy.rmse_m == pytest.approx(0.5, abs=1e-6)
    assert accuracy.relative_median_m < 1e-6


def test_turned_and_stretched_block_shows_both(truth: Truth) -> None:
    true = block_of(truth)
    turn = np.deg2rad(0.2)
    spin = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    poses = tuple(Pose(pose.rotation @ spin.T, 1.01 * spin @ pose.position) for pose in true.poses)

    accuracy = compare_block(truth, dataclasses.replace(true, poses=poses))

    assert accuracy.turn_deg == pytest.approx(0.2, abs=0.01)
    assert accuracy.scale_error == pytest.approx(0.01, abs=1e-4)
    assert accuracy.relative_median_m < 1e-6


def test_wrong_lens_shows_as_relative_error(truth: Truth) -> None:
    lens = truth.camera.lens

    accuracy = compare_block(truth, block_of(truth, lens=Lens(lens.focal, lens.k1 + 0.05, lens.k2)))

    assert accuracy.relative_median_m > 0.02


def test_moved_cameras_show_offset_and_no_spread(truth: Truth, tmp_path: Path) -> None:
    write_shots(tmp_path / "shots.geojson", truth, np.array([0.5, -0.25, 2.0]), turn_deg=1.5)

    accuracy = compare_cameras(truth, tmp_path / "shots.geojson")

    assert accuracy.offset_m == pytest.approx((0.5, -0.25, 2.0), abs=1e-6)
    assert accuracy.std_m == pytest.approx((0, 0, 0), abs=1e-6)
    assert accuracy.rotation_median_deg == pytest.approx(1.5)


def test_absent_cameras_are_named(truth: Truth, tmp_path: Path) -> None:
    write_shots(tmp_path / "shots.geojson", truth, np.zeros(3))
    shots = json.loads((tmp_path / "shots.geojson").read_text())
    shots["features"].pop(1)
    (tmp_path / "shots.geojson").write_text(json.dumps(shots))

    assert compare_cameras(truth, tmp_path / "shots.geojson").missing == ("DJI_0002.JPG",)


@pytest.mark.parametrize(("east_m", "north_m"), [(0.0, 0.0), (0.31, -0.17), (-1.9, 2.4)])
def test_displaced_orthophoto_is_measured(
    truth: Truth, tmp_path: Path, east_m: float, north_m: float
) -> None:
    write_shifted(tmp_path / "ortho.tif", truth, east_m, north_m)

    accuracy = compare_orthophoto(truth, tmp_path / "ortho.tif")

    assert accuracy.offset_m == pytest.approx((east_m, north_m), abs=0.02)
    assert accuracy.relative_p90_m < 0.03
    assert accuracy.coverage > 0.9


def test_orthophoto_in_another_zone_is_refused(truth: Truth, tmp_path: Path) -> None:
    write_shifted(tmp_path / "ortho.tif", truth, 0, 0, epsg=32631)

    with pytest.raises(ValueError, match="EPSG:32632"):
        compare_orthophoto(truth, tmp_path / "ortho.tif")


def test_orthophoto_of_another_place_is_refused(truth: Truth, tmp_path: Path) -> None:
    write_shifted(tmp_path / "ortho.tif", truth, 40.0, 25.0)

    with pytest.raises(ValueError, match="does not show"):
        compare_orthophoto(truth, tmp_path / "ortho.tif")


def test_raised_and_rough_surface_shows_both(truth: Truth, tmp_path: Path) -> None:
    surface = truth.surface()
    grid = surface.grid
    noise = np.random.default_rng(0).normal(0.7, 0.2, surface.heights.shape)
    corner = truth.origin[0] + grid.west_m, truth.origin[1] + grid.north_m
    with rasterio.open(
        tmp_path / "dsm.tif", "w", driver="GTiff", width=grid.columns, height=grid.rows, count=1,
        dtype="float32", crs=f"EPSG:{truth.epsg}",
        transform=Affine(grid.cell_m, 0, corner[0], 0, -grid.cell_m, corner[1]),
    ) as target:  # fmt: skip
        target.write((surface.heights + truth.origin[2] + noise).astype(np.float32), 1)

    accuracy = compare_surface(truth, tmp_path / "dsm.tif")

    assert accuracy.median_m == pytest.approx(0.7, abs=0.03)
    assert accuracy.nmad_m == pytest.approx(0.2, abs=0.02)
    assert accuracy.coverage == 1
