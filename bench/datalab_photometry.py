"""What aperture photometry takes: the whole operation, and apertures alone beside photutils.

Run: .venv/bin/python -m bench.datalab_photometry
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.datalab.operations.working import FolderWork
from tests.support.star_fields import TAKEN_AT, Field, star_field, write_banzai

from bench.used import MB, peak_bytes
from datalab.fits.reader import read_frame
from datalab.operations.aperture_photometry import AperturePhotometry
from datalab.operations.light_curve import LightCurve
from datalab.photometry.apertures import Radii, measure
from datalab.photometry.noise import Noise

SIZE, STARS = 2048, 400
SCALE_ARCSEC = 0.389
RADII = Radii(7.64 / SCALE_ARCSEC, 12.73 / SCALE_ARCSEC, 19.1 / SCALE_ARCSEC)
TARGET = 7


def exposed(number: int) -> Field:
    """Return one of the exposures."""
    return star_field(
        size=SIZE,
        stars=STARS,
        separation_px=60.0,
        exposure=number,
        pixel_scale_arcsec=SCALE_ARCSEC,
        date_obs=TAKEN_AT + timedelta(minutes=number),
        shift=(0.3 * number, -0.4 * number),
        magnitudes=(12.5, 17.5),
    )


def timed(call: Callable[[], object], rounds: int) -> dict[str, float]:
    """Return CPU and wall seconds of some calls."""
    cpu, wall = [], []
    for _ in range(rounds):
        started = time.process_time(), time.perf_counter()
        call()
        cpu.append(time.process_time() - started[0])
        wall.append(time.perf_counter() - started[1])
    return {
        "CPU s, min": round(min(cpu), 4),
        "CPU s, median": round(median(cpu), 4),
        "wall s, min": round(min(wall), 4),
    }


def written(folder: Path, images: int) -> None:
    """Write the exposures; in a process of its own, whose memory is not counted."""
    for number in range(images):
        field = exposed(number)
        write_banzai(folder / f"{number:03d}-e91.fits.fz", field)
        if not number:
            star = {name: float(field.truth[name][TARGET]) for name in ("ra", "dec", "mag")}
            truth = {"target": star, "x": list(field.truth["x"]), "y": list(field.truth["y"])}
            (folder / "truth.json").write_text(json.dumps(truth))


def ours(frame: NDArray[Any], bad: NDArray[np.bool_], x: Any, y: Any) -> Any:
    """Measure stars where they are given."""
    return measure(frame, bad, x, y, RADII, Noise(1.0, 6.0, 0.0))


def ours_centred(frame: NDArray[Any], bad: NDArray[np.bool_], x: Any, y: Any) -> Any:
    """Measure stars where they are found."""
    return measure(frame, bad, x, y, RADII, Noise(1.0, 6.0, 0.0), window_sigma_px=1.5, most_shift_px=6.0)


def with_photutils(frame: NDArray[Any], bad: NDArray[np.bool_], x: Any, y: Any) -> Any:
    """Sum apertures, exactly, and take clipped medians of rings: what ``ours`` does, plainly written."""
    from astropy.stats import SigmaClip  # noqa: PLC0415 - its memory is not ours
    from photutils.aperture import (  # noqa: PLC0415
        ApertureStats,
        CircularAnnulus,
        CircularAperture,
        aperture_photometry,
    )

    places = np.column_stack([x, y])
    annuli = CircularAnnulus(places, RADII.inner, RADII.outer)
    rings = ApertureStats(frame, annuli, mask=bad, sigma_clip=SigmaClip(2.5, maxiters=3))
    apertures = CircularAperture(places, RADII.aperture)
    sums = aperture_photometry(frame, apertures, mask=bad, method="exact")["aperture_sum"]
    return np.asarray(sums - rings.median * apertures.area)


def operations_of(paths: list[Path], folder: Path, star: Any, rounds: int) -> dict[str, Any]:
    """Run whole operations."""
    refs = [{"basename": path.name} for path in paths]
    place = {"ra": float(star["ra"]), "dec": float(star["dec"])}
    results = folder / "results"
    results.mkdir()
    work = FolderWork(folder, results)
    asked: list[tuple[Any, dict[str, Any]]] = [
        (LightCurve, {"source": place}),
        (AperturePhotometry, {"target_positions": [place]}),
    ]
    return {
        operation.name: _whole(operation, {"input_files": refs, **inputs}, work, float(star["mag"]), rounds)
        for operation, inputs in asked
    }


def _whole(operation: Any, asked: Any, work: FolderWork, magnitude: float, rounds: int) -> dict[str, Any]:
    inputs = operation.inputs.model_validate(asked)
    rows = operation.compute(inputs, work).data[0]["light_curve"]
    return {
        **timed(lambda: operation.compute(inputs, work), rounds),
        "images": len(rows),
        "largest error, mag": round(max(abs(row["mag"] - magnitude) for row in rows), 4),
        "peak RSS since the start, MB": round(peak_bytes(os.getpid()) / MB),
    }


def apertures(path: Path, x: Any, y: Any, rounds: int) -> dict[str, Any]:
    """Measure the stars of one image, beside photutils."""
    frame = read_frame(path)
    assert frame.mask is not None
    inside = (np.minimum(x, y) > RADII.outer) & (np.maximum(x, y) < SIZE - RADII.outer)
    given = frame.pixels, frame.mask, x[inside], y[inside]
    mine = ours(*given)
    ours_centred(*given)
    off = np.abs(with_photutils(*given) - mine.counts) / mine.error
    return {
        "stars": int(inside.sum()),
        "ours": timed(lambda: ours(*given), rounds),
        "ours, centred": timed(lambda: ours_centred(*given), rounds),
        "photutils": timed(lambda: with_photutils(*given), rounds),
        "difference in errors, median": round(float(np.median(off)), 4),
        "reading one frame": timed(lambda: read_frame(path), rounds),
    }


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = get_context("spawn").Process(target=written, args=(folder, asked.images))
        writer.start()
        writer.join()
        paths = sorted(folder.glob("*.fits.fz"))
        truth = json.loads((folder / "truth.json").read_text())
        figures = {
            "load before": round(os.getloadavg()[0], 2),
            **operations_of(paths, folder, truth["target"], asked.rounds),
            "one image": apertures(paths[0], np.array(truth["x"]), np.array(truth["y"]), asked.rounds),
        }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
