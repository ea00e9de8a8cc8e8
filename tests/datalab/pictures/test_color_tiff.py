"""TIFFs in colours are read by other programs as they were meant."""

from __future__ import annotations

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest

from datalab.pictures.color_tiff import ColorTiff


@pytest.mark.parametrize("shape", [(1, 1), (64, 7), (65, 3), (200, 31)])
def test_rows_come_where_they_belong_in_any_order(tmp_path: Path, shape: tuple[int, int]) -> None:
    shades = np.random.default_rng(1).integers(0, 65536, (*shape, 3), np.uint16)
    path = tmp_path / "a.tif"
    with ColorTiff(path, shape) as file:
        for start in reversed(range(0, shape[0], 50)):
            file.put(start, shades[start : start + 50])

    by_opencv = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert by_opencv is not None
    assert np.array_equal(by_opencv[..., ::-1], shades)
    assert np.array_equal(imagecodecs.tiff_decode(path.read_bytes()), shades)


def test_what_is_not_written_is_black(tmp_path: Path) -> None:
    with ColorTiff(tmp_path / "a.tif", (70, 5)) as file:
        file.put(69, np.full((1, 5, 3), 65535, np.uint16))

    found = imagecodecs.tiff_decode((tmp_path / "a.tif").read_bytes())
    assert found[:69].max() == 0
    assert found[69].min() == 65535


def test_what_is_too_large_for_a_tiff_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot have 60000 x 60000 pixels"):
        ColorTiff(tmp_path / "a.tif", (60_000, 60_000))
