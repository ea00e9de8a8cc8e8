from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from odm_gateway.orthophoto.image_header import read_size

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_given_each_format_when_measured_then_the_size_is_the_stored_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    cv2.imwrite(str(path), np.full((31, 57, 3), 90, np.uint8))

    assert read_size(path) == (57, 31)


def test_given_a_progressive_jpeg_with_a_tail_when_measured_then_it_counts_as_whole(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    cv2.imwrite(str(path), np.full((31, 57, 3), 90, np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    path.write_bytes(path.read_bytes() + b"maker's own data")

    assert read_size(path) == (57, 31)
