"""What operations take of memory does not grow with the number of their images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.datalab.operations.asking import ASKED, FLAT
from tests.datalab.operations.child import took
from tests.datalab.operations.working import FolderWork
from tests.support.star_fields import TAKEN_AT, star_field, write_banzai

AT_MOST_MB = 350
MANY = ("Median", "Sigma-Clipped Stack", "Stacking")
ALONE = ("HR Diagram",)
"""Which asks a server besides, and reads no pixels of images with catalogues."""


def night(folder: Path, count: int, side: int) -> dict[str, float]:
    """Write exposures of a sky and even light; return where one of its stars is."""
    for number in range(count):
        field = star_field(
            size=side,
            stars=200,
            separation_px=60,
            magnitudes=(12.5, 17.5),
            hot_pixels=300,
            exposure=number,
            rotation_deg=number / 3,
            date_obs=TAKEN_AT + timedelta(minutes=number),
        )
        write_banzai(folder / f"{number}.fits.fz", field)
    FolderWork(folder, folder).add(
        FLAT, np.random.default_rng(1).normal(9000, 90, (side, side)).astype(np.float32)
    )
    star = field.truth[7]
    return {"ra": float(star["ra"]), "dec": float(star["dec"])}


def files(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"basename": name} for name in names]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_operation_takes_more_than_350_mb(work: FolderWork) -> None:
    place = night(work.files, 3, 4096)
    peaks = {}
    for name, asked in ASKED.items():
        if name not in ALONE:
            inputs = asked(files([f"{number}.fits.fz" for number in range(3)]), place)
            took(work.files, work.folder, name, inputs)  # compiles
            peaks[name] = took(work.files, work.folder, name, inputs)["peak_mb"]

    assert {name: peak for name, peak in peaks.items() if peak > AT_MOST_MB} == {}
    assert min(peaks.values()) > 100


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MANY)
def test_a_hundred_images_of_4096_pixels_take_no_more_than_three(work: FolderWork, name: str) -> None:
    place = night(work.files, 3, 4096)
    for number in range(3, 100):
        os.link(work.files / f"{number % 3}.fits.fz", work.files / f"{number}.fits.fz")
    inputs = ASKED[name](files([f"{number}.fits.fz" for number in range(100)]), place)

    assert took(work.files, work.folder, name, inputs)["peak_mb"] < AT_MOST_MB
