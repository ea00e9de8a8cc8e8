from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from odm_gateway.orthophoto.models import EngineError
from odm_gateway.orthophoto.mosaic import TILE_PX, plan_mosaic, render, tile_windows
from odm_gateway.orthophoto.options import EngineOptions
from odm_gateway.orthophoto.views import views_of
from tests.support.scene import Scene, checkerboard, drawn, photographed, sampled

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from odm_gateway.orthophoto.mosaic import Plan

OPTIONS = EngineOptions(max_concurrency=1, orthophoto_resolution_cm=16.0)


def planned(folder: Path, scene: Scene, options: EngineOptions = OPTIONS) -> Plan:
    return plan_mosaic(*photographed(scene, folder), options)


def error_when_shifted(plan: Plan, image: NDArray[np.uint8], east_px: float, north_px: float) -> float:
    """Return how far the map's colours are from the checkerboard moved by so many pixels."""
    canvas = plan.canvas
    ground = canvas.nodes(0, 0, canvas.width, canvas.height, 1)
    ground -= np.array([east_px, north_px]) * canvas.pixel_m
    truth = checkerboard(ground[:, 0], ground[:, 1]).reshape(canvas.height, canvas.width, 3)
    shown = image[:, :, 3] > 0
    return float(np.abs(image[:, :, :3][shown] - truth[shown]).mean())


@pytest.mark.parametrize("slope_east", [0.0, 0.15])
def test_given_a_checkerboard_when_mapped_then_its_squares_lie_where_they_are(
    tmp_path: Path, slope_east: float
) -> None:
    plan = planned(tmp_path, Scene(slope_east=slope_east))
    image = drawn(plan)

    straight = error_when_shifted(plan, image, 0, 0)
    east, west, north, south = (
        error_when_shifted(plan, image, *step) for step in ((1, 0), (-1, 0), (0, 1), (0, -1))
    )

    assert straight < min(east, west, north, south) - 1
    assert abs(east - west) < 0.3
    assert abs(north - south) < 0.3


def test_given_a_turned_camera_when_mapped_then_the_map_stays_north_up(tmp_path: Path) -> None:
    plans = [planned(tmp_path / str(yaw), Scene(yaw_deg=yaw)) for yaw in (0, 70)]
    ground = np.stack(np.meshgrid(np.linspace(5, 20, 90), np.linspace(0, 12, 80)), axis=-1).reshape(-1, 2)

    straight, turned = (sampled(plan, drawn(plan), ground) for plan in plans)

    assert (straight[:, 3] == 255).all()
    assert np.abs(straight.astype(int) - turned).mean() < 4


def test_given_ground_that_no_photo_sees_when_mapped_then_it_is_transparent(tmp_path: Path) -> None:
    plan = planned(tmp_path, Scene(yaw_deg=30), replace(OPTIONS, crop_m=0.0))
    canvas = plan.canvas
    ground = canvas.nodes(0, 0, canvas.width, canvas.height, 1)
    points = np.column_stack([ground, np.zeros(len(ground))])

    image = drawn(plan).reshape(-1, 4)
    seen = np.any([view.sees(view.project(points)) for view in plan.views], axis=0)

    assert (image[~seen] == 0).all()
    assert (image[seen, 3] == 255).mean() > 0.93


def test_given_gains_when_exposures_differ_then_the_step_is_gone(tmp_path: Path) -> None:
    factors = (1.0, 0.7, 1.1, 0.8, 1.0, 1.2)
    block, surface = photographed(Scene(exposure=factors), tmp_path)
    gains = np.repeat(1 / np.array(factors)[:, None], 3, axis=1)
    uneven = plan_mosaic(block, surface, OPTIONS)
    evened = plan_mosaic(replace(block, gains=gains), surface, OPTIONS)

    assert error_when_shifted(evened, drawn(evened), 0, 0) < 6
    assert error_when_shifted(uneven, drawn(uneven), 0, 0) > 10


def test_given_uneven_exposure_when_blended_then_no_seam_jumps(tmp_path: Path) -> None:
    grey = Scene(exposure=(1.0, 0.85, 1.0, 0.85, 1.0, 0.85), color=lambda e, _: np.full((*e.shape, 3), 160.0))
    image = drawn(planned(tmp_path, grey)).astype(int)
    both = (image[:, 1:, 3] > 0) & (image[:, :-1, 3] > 0)

    steps = np.abs(np.diff(image[:, :, 0], axis=1))[both]

    assert np.ptp(image[image[:, :, 3] > 0, 0]) > 10
    assert steps.max() <= 4


def test_given_neighbouring_tiles_when_drawn_apart_then_they_fit(tmp_path: Path) -> None:
    plan = planned(tmp_path, Scene(spacing_m=22), replace(OPTIONS, orthophoto_resolution_cm=5.0))
    plan = replace(plan, canvas=replace(plan.canvas, pixel_m=0.05, width=1400, height=900))
    whole = drawn(plan)
    shifted = replace(plan.canvas, west_m=plan.canvas.west_m + 25.6, width=plan.canvas.width - 512)

    other = drawn(replace(plan, canvas=shifted))

    assert plan.canvas.width > TILE_PX
    assert np.abs(whole[:, 512:].astype(int) - other).max() <= 2


def test_given_a_canvas_when_cut_then_tiles_cover_each_pixel_once(tmp_path: Path) -> None:
    canvas = replace(planned(tmp_path, Scene()).canvas, width=2500, height=1300)
    covered = np.zeros((canvas.height, canvas.width), int)

    for column, row, width, height in tile_windows(canvas):
        covered[row : row + height, column : column + width] += 1

    assert (covered == 1).all()


def test_given_a_wider_crop_when_planned_then_the_outline_is_drawn_in(tmp_path: Path) -> None:
    block, surface = photographed(Scene(), tmp_path)
    narrow, wide = (plan_mosaic(block, surface, replace(OPTIONS, crop_m=crop_m)) for crop_m in (1.0, 4.0))

    across_m = [
        np.count_nonzero(drawn(plan)[plan.canvas.height // 2, :, 3]) * plan.canvas.pixel_m
        for plan in (narrow, wide)
    ]

    assert across_m[0] - across_m[1] == pytest.approx(6.0, abs=0.5)


def test_given_a_crop_that_leaves_nothing_when_planned_then_it_is_dropped_with_a_warning(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path, Scene(), replace(OPTIONS, crop_m=500.0))

    assert "not cropped" in plan.warnings[0]
    assert plan.cover.area_m2 > 1500


def test_given_too_large_a_map_when_planned_then_its_pixel_is_coarser(tmp_path: Path) -> None:
    plan = planned(tmp_path, Scene(), replace(OPTIONS, max_canvas_megapixels=0.05))

    assert plan.canvas.megapixels <= 0.051
    assert "to stay within" in plan.warnings[0]


def test_given_a_coarse_resolution_when_mapped_then_photos_are_averaged(tmp_path: Path) -> None:
    stripes = Scene(color=lambda east, _: np.repeat(200.0 * (np.sin(east * 9) > 0)[..., None], 3, axis=-1))
    plan = planned(tmp_path, stripes, replace(OPTIONS, orthophoto_resolution_cm=140.0))

    image = drawn(plan)

    assert plan.canvas.pixel_m == 1.4
    assert image[image[:, :, 3] > 0, 0].std() < 12


def test_given_a_photo_that_vanished_when_drawn_then_the_run_is_refused(tmp_path: Path) -> None:
    plan = planned(tmp_path, Scene())
    plan.views[2].photo.path.unlink()

    with pytest.raises(EngineError, match="photo_02") as caught:
        list(render(plan, 2))

    assert caught.value.code == "UNREADABLE"


def test_given_a_lens_that_folds_back_when_projected_then_far_ground_is_not_seen(tmp_path: Path) -> None:
    block, _ = photographed(Scene(), tmp_path)
    view = views_of(replace(block, lens=replace(block.lens, k1=-0.45, k2=0.0)))[0]

    far = view.project(view.pose.position + np.array([[0.0, 0.0, -40.0], [60.0, 0.0, -40.0]]))

    assert np.isfinite(far[0]).all()
    assert np.isnan(far[1]).all()
