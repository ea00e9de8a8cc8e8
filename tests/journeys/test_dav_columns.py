"""Scaler and mover do their work, start to end, on the simulator and on a real Nextcloud alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dav_scenes import (
    Scene,
    check_all_scaled,
    check_all_sorted,
    opened_scene,
    put_originals,
    put_tagged,
)
from tests.support.dav_servers.fixtures import REAL
from tests.support.zygote import Zygote


@pytest.fixture(params=[pytest.param("nextcloud", marks=pytest.mark.long), REAL])
def scene(request: pytest.FixtureRequest, parent: Zygote, tmp_path: Path) -> Iterator[Scene]:
    with opened_scene(request.param, parent, tmp_path) as opened:
        yield opened


def test_given_raw_images_when_the_scaler_runs_then_each_is_scaled(scene: Scene) -> None:
    originals = put_originals(scene, 1, 2)

    scene.until_quiet("scaler")

    check_all_scaled(scene, originals)


def test_given_tagged_files_when_the_mover_runs_then_each_lies_where_its_tag_says(scene: Scene) -> None:
    sorting = put_tagged(scene)

    scene.until_quiet("mover")

    check_all_sorted(scene, sorting)
