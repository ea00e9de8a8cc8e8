"""What pixel kernels, FITS files and a median of files cost, beside numpy, astropy and ccdproc.

    python -m bench.datalab [PART ...] [--json] [--side 2048] [--images 10] [--repeats 5]

Parts are ``kernels`` (median and sigma clipping of images in memory), ``files`` (reading and writing one
image), ``operations`` (whole ones: they read reduced frames with their masks, and write results and pictures)
and ``memory`` (what whole operations take with 4096 x 4096 pixels, and with a hundred images of these: this
takes minutes, and is done only when it is named). Figures are milliseconds of processor time of a process,
the least of the repeats after one that warms up; peers run once or twice. Memory is that of a process of its
own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.stats import sigma_clip
from ccdproc import Combiner
from numpy.typing import NDArray
from tests.datalab.operations.asking import ASKED, write_night
from tests.datalab.operations.child import took

from bench.used import MB, peak_bytes
from datalab.fits.reader import read_frame
from datalab.fits.writer import Compression, write_frame
from datalab.kernels.clipping import Clipping, clipped
from datalab.kernels.median import median

Images = list[NDArray[Any]]
Figures = dict[str, float]


def main() -> None:
    """Measure and print; or be the one whose memory is measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all but memory, when none is named")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--grow", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.grow:
        print(_growth_mb(given.side, given.images))
        return
    found: Figures = {}
    for part in given.parts or USUAL:
        found |= PARTS[part](given.side, given.images, given.repeats)
    found["load, runnable"] = os.getloadavg()[0]
    rounded = {name: round(figure, 3) for name, figure in found.items()}
    rows = [f"{name:64}{figure:>12,.3f}" for name, figure in rounded.items()]
    print(json.dumps(rounded, indent=1) if given.json else "\n".join(rows))


def cpu_ms(work: Callable[[], object], repeats: int) -> float:
    """Return the least processor time of some repeats."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best * 1000


def _noise(side: int, images: int, kind: str = "uint16") -> Images:
    random = np.random.default_rng(1)
    return [random.normal(1000, 30, (side, side)).astype(kind) for _ in range(images)]


def kernels(side: int, images: int, repeats: int) -> Figures:
    """Return what combining images in memory costs."""
    whole, floats = _noise(side, images), _noise(side, images, "float32")
    holed = [image.copy() for image in floats]
    for number, image in enumerate(holed):
        image[np.random.default_rng(number).random(image.shape) < 1e-3] = np.nan
    out = np.empty((side, side), np.float32)
    units = [CCDData(image, unit=u.adu) for image in whole]
    figures = {
        "median, uint16": cpu_ms(lambda: median(whole, out=out), repeats + 1),
        "median, float32": cpu_ms(lambda: median(floats, out=out), repeats),
        "median, float32 with NaN": cpu_ms(lambda: median(holed, out=out), repeats),
        "median, uint16, numpy": cpu_ms(lambda: np.median(whole, axis=0), 2),
        "median, uint16, ccdproc": cpu_ms(lambda: Combiner(units).median_combine(), 1),
    }
    ours = figures["median, uint16"]
    figures["median, numpy over ours"] = figures["median, uint16, numpy"] / ours
    figures["median, ccdproc over ours"] = figures["median, uint16, ccdproc"] / ours
    figures["median, memory above input and result, MB"] = _in_a_process(side, images)
    return figures | _clipping(floats, repeats)


def _clipping(images: Images, repeats: int) -> Figures:
    struck = [image.copy() for image in images]
    for number, image in enumerate(struck):
        image[np.random.default_rng(number).random(image.shape) < 1e-3] += 5000
    clipping = Clipping(3, 3, 5)

    def by_astropy() -> object:
        left = sigma_clip(np.stack(struck), sigma=3, maxiters=5, axis=0, masked=False, copy=False)
        return np.nanmean(left, axis=0)

    clipped(struck, clipping)
    figures = {
        "sigma clip and mean": cpu_ms(lambda: clipped(struck, clipping), repeats),
        "sigma clip and mean, astropy": cpu_ms(by_astropy, 2),
    }
    figures["sigma clip, astropy over ours"] = (
        figures["sigma clip and mean, astropy"] / figures["sigma clip and mean"]
    )
    return figures


def _in_a_process(side: int, images: int) -> float:
    command = [sys.executable, "-m", "bench.datalab", "--grow", f"--side={side}", f"--images={images}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def _growth_mb(side: int, images: int) -> float:
    stack, out = _noise(side, images), np.ones((side, side), np.float32)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak_bytes(os.getpid())
    median(stack, out=out)
    return (peak_bytes(os.getpid()) - before) / MB


def files(side: int, _images: int, repeats: int) -> Figures:
    """Return what reading and writing one image costs; all are in the page cache."""
    (whole,), (floats,) = _noise(side, 1), _noise(side, 1, "float32")
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds: Mapping[str, Any] = {
            "uint16 plain": fits.ImageHDU(whole),
            "uint16 Rice": fits.CompImageHDU(whole, compression_type="RICE_1"),
            "float32 Rice, dithered": fits.CompImageHDU(
                floats, quantize_level=16, quantize_method=1, dither_seed=1
            ),
            "float32 GZIP_2": fits.CompImageHDU(floats, compression_type="GZIP_2", quantize_level=0),
        }
        for kind, unit in kinds.items():
            path = folder / f"{kind}.fits"
            fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path)
            read_frame(path)
            figures[f"read {kind}"] = cpu_ms(lambda path=path: read_frame(path), repeats)  # type: ignore[misc]
            figures[f"read {kind}, astropy"] = cpu_ms(lambda path=path: _by_astropy(path), repeats)  # type: ignore[misc]
        return figures | _writing(folder, floats, repeats)


def _by_astropy(path: Path) -> object:
    with fits.open(path) as units:
        return np.array(units[1].data)


def _writing(folder: Path, pixels: NDArray[np.float32], repeats: int) -> Figures:
    figures: Figures = {}
    ways: tuple[Compression, ...] = ("gzip", "none", "rice")
    for way in ways:
        path = folder / f"{way}.fits"

        def write(path: Path = path, way: Compression = way) -> None:
            write_frame(
                path, pixels, fits.Header(), inputs=["a"], operation="Median", parameters={}, compression=way
            )

        figures[f"write float32 {way}"] = cpu_ms(write, repeats)
        figures[f"written float32 {way}, MB"] = path.stat().st_size / MB

    def by_astropy() -> None:
        unit = fits.CompImageHDU(pixels, compression_type="GZIP_2", quantize_level=0)
        fits.HDUList([fits.PrimaryHDU(), unit]).writeto(folder / "astropy.fits", overwrite=True)

    figures["write float32 gzip, astropy"] = cpu_ms(by_astropy, 2)
    figures["written float32 gzip, astropy, MB"] = (folder / "astropy.fits").stat().st_size / MB
    return figures


WHOLE: Mapping[str, tuple[str, int, dict[str, Any]]] = {
    "Median of 10": ("Median", 10, {}),
    "Sigma-Clipped Stack of 10": ("Sigma-Clipped Stack", 10, {"scale": "none"}),
    "Stacking, simple, 10": ("Stacking", 10, {"stacking_mode": "simple"}),
    "Stacking, reproject, 3": ("Stacking", 3, {}),
    "Normalization of 5": ("Normalization", 5, {}),
    "Subtraction of 5": ("Subtraction", 5, {}),
    "Color Image of 3": ("Color Image", 3, {}),
    "Align 3": ("Align", 3, {}),
    "Align 3 by stars": ("Align", 3, {"alignment": "stars"}),
    "Mosaic of 3": ("Mosaic", 3, {}),
    "Calibrate 3": ("Calibrate", 3, {}),
    "Region Statistics of 3": ("Region Statistics", 3, {}),
    "Light Curve of 10": ("Light Curve", 10, {}),
    "Variable Star of 10": ("Variable Star", 10, {}),
    "Aperture Photometry of 10": ("Aperture Photometry", 10, {}),
    "Moving Target Aperture Photometry of 10": ("Moving Target Aperture Photometry", 10, {}),
    "Non-Sidereal Aperture Photometry of 10": ("Non-Sidereal Aperture Photometry", 10, {}),
}
"""Whole operations by what is said of them: name, number of images, what is asked for besides.

HR Diagram reads two catalogues and waits for Gaia: it is not measured.
"""
MANY = ("Median", "Sigma-Clipped Stack", "Stacking")


def operations(side: int, _images: int, repeats: int) -> Figures:
    """Return what whole operations cost in a process that has computed each before, and their memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = write_night(folder, max(count for _, count, _ in WHOLE.values()), side)
        figures: Figures = {}
        for what, (operation, count, more) in WHOLE.items():
            asked = ASKED[operation](_files(count), place) | more
            found = took(folder, _results(folder), operation, asked, repeats)
            figures[f"{what}, whole"] = found["cpu_s"] * 1000
            figures[f"{what}, peak memory, MB"] = found["peak_mb"]
        return figures


def memory(_side: int, _images: int, _repeats: int) -> Figures:
    """Return the memory of operations with the largest images that are common, and with a hundred of them."""
    side, few, many = 4096, 3, 100
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = write_night(folder, few, side)
        for number in range(few, many):
            os.link(folder / f"{number % few}.fits.fz", folder / f"{number}.fits.fz")
        asked = [(operation, few) for operation in ASKED if operation != "HR Diagram"]
        return {
            f"{operation} of {count} x {side}^2, peak memory, MB": took(
                folder, _results(folder), operation, ASKED[operation](_files(count), place)
            )["peak_mb"]
            for operation, count in [*asked, *((operation, many) for operation in MANY)]
        }


def _files(count: int) -> list[dict[str, Any]]:
    return [{"basename": f"{number}.fits.fz"} for number in range(count)]


def _results(folder: Path) -> Path:
    results = folder / "results"
    results.mkdir(exist_ok=True)
    return results


PARTS: Mapping[str, Callable[[int, int, int], Figures]] = {
    "kernels": kernels,
    "files": files,
    "operations": operations,
    "memory": memory,
}
USUAL = ("kernels", "files", "operations")


if __name__ == "__main__":
    main()
