from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from odm_gateway.orthophoto.camera import rotation_exp
from odm_gateway.orthophoto.diagnosis import (
    check_features,
    check_group,
    check_positions,
    check_settled,
    warnings_of,
)
from odm_gateway.orthophoto.features import Features
from odm_gateway.orthophoto.models import Block, EngineError, LeftOut, Photo, Pose, Residuals
from odm_gateway.orthophoto.settled import Settled

from .known_flight import LENS, fly

FLIGHT = fly(lines=2, photos=3)
PHOTOS = tuple(
    Photo(f"{number}.jpg", Path(f"{number}.jpg"), 1600, 1200, 46.0, 7.0, 600.0, 50.0, 0.0, 0.75, 0.003,
          "Maker", "Model", datetime(2026, 5, 1, tzinfo=UTC))
    for number in range(6)
)  # fmt: skip
BLOCK = Block(
    epsg=32632,
    origin=np.zeros(3),
    lens=LENS,
    photos=PHOTOS,
    poses=tuple(map(Pose, FLIGHT.scene.rotations, FLIGHT.scene.positions)),
    points=FLIGHT.scene.points,
    point_colors=np.zeros((len(FLIGHT.scene.points), 3), np.uint8),
    gps_residuals=Residuals(0.3, 0.3, 0.5),
    reprojection_rms_px=0.5,
    sharpness=(0.5,) * 6,
)


def features(count: int) -> Features:
    return Features(
        np.zeros((count, 2), np.float32),
        np.zeros((count, 128), np.uint8),
        np.zeros((count, 3), np.uint8),
        1.0,
    )


def test_given_a_sound_block_when_judged_then_there_is_nothing_to_say() -> None:
    assert warnings_of(BLOCK, vertical_gps=True) == ()


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (
            replace(BLOCK, left_out=(LeftOut("a.jpg", "unconnected", ""),)),
            "1 of 7 photos could not be joined",
        ),
        (
            replace(BLOCK, left_out=(LeftOut("a.jpg", "other_camera", ""),)),
            "another camera, zoom or size were ignored: 1",
        ),
        (replace(BLOCK, gps_residuals=Residuals(9.0, 12.0, 3.0)), "off by about ±15 m"),
        (replace(BLOCK, sharpness=(0.01,) * 6), "6 of 6 photos look blurred"),
        (replace(BLOCK, photos=tuple(replace(one, focal_sigma=0.2) for one in PHOTOS)), "focal length"),
        (
            replace(
                BLOCK,
                poses=tuple(
                    Pose(rotation_exp(np.array([[0.7, 0.0, 0.0]]))[0] @ pose.rotation, pose.position)
                    for pose in BLOCK.poses
                ),
            ),
            "tilted by 41 degrees",
        ),
    ],
)
def test_given_one_flaw_when_judged_then_only_it_is_named(block: Block, said: str) -> None:
    warnings = warnings_of(block, vertical_gps=True)

    assert len(warnings) == 1
    assert said in warnings[0]


def test_given_no_vertical_gps_when_judged_then_heights_are_called_relative() -> None:
    assert "heights are only relative" in warnings_of(BLOCK, vertical_gps=False)[0]


def test_given_less_than_half_of_the_photos_joined_when_checked_then_the_groups_are_told() -> None:
    check_group([5, 3, 2], 10)

    with pytest.raises(EngineError, match=r"Only 4 of 10 photos .*groups of 4, 3, 3") as refusal:
        check_group([4, 3, 3], 10)
    assert refusal.value.code == "NO_OVERLAP"


def test_given_one_place_for_all_photos_when_checked_then_it_is_refused() -> None:
    check_positions(FLIGHT.scene.positions)

    with pytest.raises(EngineError, match="All 6 photos carry the same GPS position") as refusal:
        check_positions(np.full((6, 3), 12.0))
    assert refusal.value.code == "NO_GPS"


def test_given_pairs_only_when_checked_then_half_of_them_is_not_enough() -> None:
    with pytest.raises(EngineError, match="Only 2 of 4"):
        check_group([2, 2], 4)


def test_given_few_settled_poses_when_checked_then_the_others_are_named() -> None:
    settled = Settled(FLIGHT.scene, FLIGHT.tracks, np.arange(2), {3: "seems tilted by 50 degrees"}, True)

    with pytest.raises(EngineError, match=r"2 of 6 .* 3\.jpg seems tilted") as refusal:
        check_settled(settled, PHOTOS, 6)
    assert refusal.value.code == "UNSTABLE"


@pytest.mark.parametrize(("counts", "code"), [((400, 20, 10), "NO_TEXTURE"), ((400, 400), "TOO_FEW_IMAGES")])
def test_given_too_little_to_see_when_checked_then_the_code_says_what(
    counts: tuple[int, ...], code: str
) -> None:
    with pytest.raises(EngineError) as refusal:
        check_features([features(count) for count in counts])

    assert refusal.value.code == code
