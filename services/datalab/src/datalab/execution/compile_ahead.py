"""Compile all loops over pixels into a folder, for ``machine_code`` to bring: done when an image is built.

    python -m datalab.execution.compile_ahead FOLDER

Loops are called as operations call them, with every kind of numbers, since each kind is compiled for itself.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import datalab
from datalab.execution.machine_code import ABOUT, About

_PORTABLE: Final = {
    "x86_64": (
        "x86-64-v3",
        frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}),
    ),
    "aarch64": ("generic", frozenset[str]()),
}
"""Processor as LLVM calls it, by machine, and what Linux says of one that is at least that."""
_SIDE_PX: Final = 200
"""More pixels than are clipped at a time, so that there are parts of an image and whole ones."""


def main() -> None:
    """Do what the command line says."""
    folder = Path(sys.argv[1]).absolute()
    name, needs = _PORTABLE[platform.machine()]
    environment = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": ""}
    os.environ.update(environment, NUMBA_CACHE_DIR=str(folder))
    _make_times_whole(Path(datalab.__file__).parent)
    compile_all()
    about = About(name=f"{name}-{time.time_ns():x}", environment=environment, needs=needs)
    (folder / ABOUT).write_text(about.model_dump_json())


def _make_times_whole(package: Path) -> None:
    """Cut the files' times off at the second, as registries do: by them numba knows its code again."""
    for source in package.rglob("*.py"):
        seconds = int(source.stat().st_mtime)
        os.utime(source, (seconds, seconds))


def compile_all() -> None:
    """Call all loops; numba is imported by then, and no sooner."""
    import numpy as np  # noqa: PLC0415

    from datalab.kernels.clipping import Clipping, clipped  # noqa: PLC0415
    from datalab.photometry.apertures import Radii, measure  # noqa: PLC0415
    from datalab.photometry.noise import Noise  # noqa: PLC0415

    image = np.random.default_rng(1).normal(1000, 10, (_SIDE_PX, _SIDE_PX))
    for kind in (np.float32, np.float64):
        for part in (image.astype(kind), image[:9, :9].astype(kind)):
            for weights in (None, (1.0, 2.0, 1.0, 1.0, 1.0)):
                clipped([part + step for step in range(5)], Clipping(), weights=weights)
    places = np.full((2, 2), 90.0)
    for x, y in (
        (90.0, 90.0),
        places.T,
    ):  # one star, and two of a table, whose numbers do not lie side by side
        radii, noise = Radii(4.0, 6.0, 9.0), Noise(1.0, 5.0, 0.0)
        measure(image, None, x, y, radii, noise, window_sigma_px=1.5, most_shift_px=2.0)
    with tempfile.TemporaryDirectory() as folder:
        _read_tiles(Path(folder))


def _read_tiles(folder: Path) -> None:
    import numpy as np  # noqa: PLC0415
    from astropy.io import fits  # noqa: PLC0415

    from datalab.fits.reader import read_frame  # noqa: PLC0415

    image = np.random.default_rng(1).normal(1000, 10, (40, 50))
    for kind in ("u1", "i2", "i4", "f4", "f8"):
        pixels = np.clip(image, 0, 200).astype(kind) if kind == "u1" else image.astype(kind)
        mask = fits.CompImageHDU((image > 1010).astype("u1"), name="BPM", compression_type="RICE_1")  # noqa: PLR2004
        packed = fits.CompImageHDU(pixels, name="SCI", compression_type="RICE_1", quantize_level=16)
        fits.HDUList([fits.PrimaryHDU(), packed, mask]).writeto(folder / f"{kind}.fits")
        read_frame(folder / f"{kind}.fits")


if __name__ == "__main__":
    main()
