"""What the orthophoto engine costs and how exact it is, on a simulated flight and on given folders of photos.

Physical limit: decoding every photo and finding its SIFT keypoints with plain OpenCV on all cores, at the
preset's size. No engine of this kind can do without it, so the ratio says what all the rest costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import psutil
from pyproj import Transformer

from flightline.simulation.accuracy import compare_cameras, compare_orthophoto
from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from flightline.simulation.truth import load_truth

LONG_SIDE_PX = 1280
FEATURES = 4000
SAMPLE_EVERY_S = 0.05
SHOTS = Path("odm_report/shots.geojson")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folders", nargs="*", type=Path, help="folders of photos, beside the simulated flight"
    )
    parser.add_argument("--reference", type=Path, help="ODM's shots.geojson of the first folder")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        figures = {"simulated": _simulated(Path(temporary))}
        for number, folder in enumerate(arguments.folders):
            project = Path(temporary) / f"project{number}"
            figures[folder.name] = _measured(folder, project)
            if number == 0 and arguments.reference:
                figures[folder.name] |= _against(arguments.reference, project / SHOTS)
    print(json.dumps(figures, indent=1) if arguments.json else _table(figures))


def _simulated(folder: Path) -> dict[str, float]:
    flight, project = folder / "flight", folder / "project"
    simulate_flight(flight, FlightPlan())
    figures = _measured(flight, project)
    truth = load_truth(flight)
    ground = compare_orthophoto(truth, project / "odm_orthophoto/odm_orthophoto.tif")
    cameras = compare_cameras(truth, project / SHOTS)
    return figures | {
        "ground_relative_median_m": ground.relative_median_m,
        "ground_relative_p90_m": ground.relative_p90_m,
        "ground_rmse_m": ground.rmse_m,
        "camera_std_worst_m": max(cameras.std_m),
    }


def _measured(images: Path, project: Path) -> dict[str, float]:
    photos = sorted(path for path in images.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})
    limit_s = _timed(lambda: _detect_all(photos))
    figures = _run(images, project)
    placed = len(_positions(project / SHOTS))
    return figures | {
        "photos": len(photos),
        "placed": placed,
        "s_per_photo": figures["wall_s"] / len(photos),
        "opencv_limit_s": limit_s,
        "ratio_to_limit": figures["wall_s"] / limit_s,
    }


def _run(images: Path, project: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "odm_gateway.orthophoto", str(images), str(project), "--options", "{}"]
    began, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as worker:
        process, cpu_s = psutil.Process(worker.pid), 0.0
        while worker.poll() is None:
            try:
                peak = max(peak, process.memory_info().rss)
                times = process.cpu_times()
                cpu_s = times.user + times.system
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                break
            time.sleep(SAMPLE_EVERY_S)
        if worker.wait() != 0:
            raise RuntimeError(f"the engine failed on {images}")
    return {"wall_s": time.monotonic() - began, "cpu_s": cpu_s, "peak_rss_mb": peak / 1e6}


def _detect_all(photos: Iterable[Path]) -> None:
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_detect, photos))


def _detect(photo: Path) -> int:
    grey = cv2.imread(str(photo), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    scale = LONG_SIDE_PX / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    sift = cv2.SIFT_create(FEATURES)  # type: ignore[attr-defined]  # OpenCV 5 leaves it out of its stub
    return len(sift.detectAndCompute(small, None)[0])


def _timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _positions(shots: Path) -> dict[str, tuple[float, float, float]]:
    """Return camera positions in UTM by file name."""
    features = json.loads(shots.read_text())["features"]
    longitude, latitude, _ = features[0]["geometry"]["coordinates"]
    zone = int((longitude + 180) / 6) + 1
    to_utm = Transformer.from_crs(4326, (32600 if latitude >= 0 else 32700) + zone, always_xy=True)
    return {
        feature["properties"]["filename"]: to_utm.transform(*feature["geometry"]["coordinates"])
        for feature in features
    }


def _against(reference: Path, shots: Path) -> dict[str, float]:
    ours, theirs = _positions(shots), _positions(reference)
    pairs = [(ours[name], theirs[name]) for name in ours.keys() & theirs.keys()]
    return {
        f"to_odm_{axis}_rms_m": statistics.fmean((mine[i] - odm[i]) ** 2 for mine, odm in pairs) ** 0.5
        for i, axis in enumerate(("east", "north", "up"))
    }


def _table(figures: dict[str, dict[str, float]]) -> str:
    lines = []
    for name, row in figures.items():
        lines.append(name)
        lines += [f"  {what:<26}{value:>12.3f}" for what, value in row.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
