"""What operations take of memory does not grow with the number of their images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from datalab.operations.operation import FILES_AT_MOST
from tests.datalab.operations.asking import ASKED, write_night
from tests.datalab.operations.child import took
from tests.datalab.operations.working import FolderWork

AT_MOST_MB = 350
MANY = ("Median", "Sigma-Clipped Stack", "Stacking")
ALONE = ("HR Diagram",)
"""Which asks a server besides, and reads no pixels of images with catalogues."""


def files(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"basename": name} for name in names]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_operation_takes_more_than_350_mb(work: FolderWork) -> None:
    place = write_night(work.files, 3, 4096)
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
    place = write_night(work.files, 3, 4096)
    for number in range(3, 100):
        os.link(work.files / f"{number % 3}.fits.fz", work.files / f"{number}.fits.fz")
    inputs = ASKED[name](files([f"{number}.fits.fz" for number in range(100)]), place)

    assert took(work.files, work.folder, name, inputs)["peak_mb"] < AT_MOST_MB


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nor_do_as_many_as_may_be_asked_for(work: FolderWork) -> None:
    place = write_night(work.files, 3, 4096)
    names = [f"{number}.fits.fz" for number in range(FILES_AT_MOST)]
    for number, name in enumerate(names[3:]):
        os.link(work.files / f"{number % 3}.fits.fz", work.files / name)
    inputs = ASKED["Stacking"](files(names), place) | {"stacking_mode": "simple"}

    assert took(work.files, work.folder, "Stacking", inputs)["peak_mb"] < AT_MOST_MB
