"""What resampling and pictures cost: our kernel beside reproject, and pictures of one image.

    python -m bench.datalab_resampling [--json] [--side 2048] [--repeats 3]

Three synthetic frames of one sky, dithered and turned by a degree each, Rice-compressed as an archive has
them. Figures are processor seconds of this process, the least of the repeats after one that warms up; peers
run once. The kernel and its peers resample the three frames from memory onto one grid. Whole operations are
measured by ``bench.datalab``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from reproject import reproject_adaptive, reproject_interp
from tests.support.star_fields import star_field, write_series

from bench.datalab import cpu_ms
from datalab.analysis import get_jpg, get_tif, raw_data
from datalab.composing.grids import Grid, covering, sky_mapping
from datalab.composing.placing import strips
from datalab.fits.reader import Frame, read_frame
from datalab.kernels.resampling import needed, pixel_map, resample, window
from datalab.pictures import preview

FRAMES = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = figures(asked.side, asked.repeats)
    if asked.json:
        print(json.dumps(found))
        return
    print(f"{FRAMES} frames of {asked.side} x {asked.side}, load {os.getloadavg()[0]:.1f}; CPU seconds")
    for name, value in found.items():
        print(f"  {name:<58}{value:10.3f}")


def figures(side: int = 2048, repeats: int = 3) -> dict[str, float]:
    """Return what was measured, by name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fields = [
            star_field(
                size=side,
                stars=max(20, side // 5),
                exposure=number,
                pointing=(150 + 0.002 * number, 2.2 + 0.001 * number),
                rotation_deg=number,
            )
            for number in range(FRAMES)
        ]
        paths = write_series(folder, fields, compress="rice", err=False)
        (folder / "results").mkdir()
        return {
            **_kernels([read_frame(path) for path in paths], repeats),
            **_pictures(paths[0], folder / "results", repeats),
        }


def _kernels(frames: Sequence[Frame], repeats: int) -> dict[str, float]:
    skies = [Grid(WCS(frame.header), frame.pixels.shape) for frame in frames]
    grid = covering(skies)
    images = [(frame.pixels, sky.wcs) for frame, sky in zip(frames, skies, strict=True)]

    def ours() -> None:
        for image, wcs in images:
            _resampled(image, wcs, grid)

    def interp() -> None:
        for image in images:
            reproject_interp(image, grid.wcs, shape_out=grid.shape)

    def adaptive() -> None:
        for image in images:
            reproject_adaptive(image, grid.wcs, shape_out=grid.shape, conserve_flux=True)

    found = {
        "resample 3, kernel": _cpu_s(ours, repeats),
        "resample 3, reproject_interp": _cpu_s(interp, 1),
        "resample 3, reproject_adaptive": _cpu_s(adaptive, 1),
    }
    kernel = found["resample 3, kernel"]
    return {
        **found,
        "times as fast as reproject_interp": found["resample 3, reproject_interp"] / kernel,
        "times as fast as reproject_adaptive": found["resample 3, reproject_adaptive"] / kernel,
    }


def _resampled(image: NDArray[Any], wcs: WCS, grid: Grid) -> NDArray[np.float32]:
    where = pixel_map(sky_mapping(grid.wcs, wcs), grid.shape)
    values = np.empty(grid.shape, np.float32)
    for rows in strips(grid.shape):
        need = needed(where, rows, image.shape[0])
        part = window(image[need], None, need.start, image.shape[0])
        values[rows] = resample(part, where, rows).values()
    return values


def _pictures(path: Path, folder: Path, repeats: int) -> dict[str, float]:
    pixels = read_frame(path).pixels
    asked: list[tuple[str, Callable[[], Any]]] = [
        ("large and small JPEG", lambda: preview(pixels, folder, "preview")),
        ("raw-data, whole", lambda: raw_data.answer(path, raw_data.ASK(basename="frame"))),
        ("get-jpg, whole", lambda: get_jpg.answer(path, get_jpg.ASK(basename="frame"))),
        ("get-tif, whole", lambda: get_tif.answer(path, get_tif.ASK(basename="frame"), folder)),
    ]
    return {name: _cpu_s(work, repeats) for name, work in asked}


def _cpu_s(work: Callable[[], Any], repeats: int) -> float:
    """Return the least of some repeats, after one that warms up; once is once."""
    if repeats > 1:
        work()
    return cpu_ms(work, repeats) / 1000


if __name__ == "__main__":
    main()
