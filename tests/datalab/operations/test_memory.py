"""What an operation takes of memory does not grow with the number of its images."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.datalab.operations.working import FolderWork


def peak_mb(work: FolderWork, count: int, side: int) -> float:
    """Take the median of so many files of a few images, in another process."""
    random = np.random.default_rng(0)
    for index in range(3):
        pixels = random.normal(1000, 12, (side, side)).astype(np.float32)
        work.add(f"image-{index}.fits.fz", pixels, compression="RICE_1")
    for index in range(count):
        os.link(work.files / f"image-{index % 3}.fits.fz", work.files / f"{index}.fits.fz")
    command = [
        sys.executable,
        "-m",
        "tests.datalab.operations.median_child",
        str(work.files),
        str(work.folder),
    ]
    names = [f"{index}.fits.fz" for index in range(count)]
    done = subprocess.run([*command, *names], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_median_of_100_images_of_4096_pixels_takes_no_more_than_350_mb(work: FolderWork) -> None:
    assert peak_mb(work, 100, 4096) < 350
