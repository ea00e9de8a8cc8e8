"""Images that are made on disk are written and looked at as those in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from datalab.fits.scratch import DiskImage
from datalab.fits.writer import Compression, write_frame
from datalab.pictures import preview


@pytest.mark.parametrize("compression", ["gzip", "none", "rice"])
def test_the_file_and_its_pictures_are_those_of_an_array(tmp_path: Path, compression: Compression) -> None:
    pixels = np.random.default_rng(3).normal(100, 5, (333, 1111)).astype(np.float32)
    (tmp_path / "disk").mkdir()
    with DiskImage(tmp_path, pixels.shape) as image:
        for start in (300, 100, 200, 0):
            image[slice(start, min(start + 100, 333))] = pixels[start : start + 100]
        for kind, source, folder in (("array", pixels, tmp_path), ("disk", image, tmp_path / "disk")):
            path = folder / "image.fits"
            write_frame(
                path, source, fits.Header(), inputs=(), operation=kind, parameters={}, compression=compression
            )
            preview(source, folder, "image")

    ours, theirs = (fits.getdata(folder / "image.fits") for folder in (tmp_path, tmp_path / "disk"))
    assert np.array_equal(ours, theirs)
    assert compression == "rice" or np.array_equal(ours, pixels)
    for name in ("image-large.jpg", "image-small.jpg"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "disk" / name).read_bytes()


def test_nothing_is_left_on_disk(tmp_path: Path) -> None:
    with DiskImage(tmp_path, (5, 5)) as image:
        image[0:5] = np.ones((5, 5), np.float32)
        assert image[::2].shape == (3, 5)
        assert not list(tmp_path.iterdir())
