"""What the pipeline costs: a run against the bare engine plus copying, and a server that has nothing to do.

Peer: the engine's own worker process on the same images, and copies of images and products that are flushed
to the same disk. Both are run in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
IDLE_S = 20.0
SETTLED_AFTER_S = 4.0
"""From readiness: the spare worker has imported its engine by then."""
START_AT_MOST_S = 30.0
PORTS = {
    "DISCOVERY_PORT": 18001,
    "INGEST_PORT": 18002,
    "SCALER_PORT": 18003,
    "MOVER_PORT": 18004,
    "ODM_GATEWAY_PORT": 18100,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="?", type=Path, help="folder of images; none: a simulated flight")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = arguments.images or _simulated(Path(folder))
        figures = _runs(images, arguments.runs, Path(folder)) | _idle(Path(folder))
    print(json.dumps(figures, indent=1) if arguments.json else _table(figures))


def _simulated(folder: Path) -> Path:
    flight = folder / "flight"
    subprocess.run([BIN / "flightline", "simulate", "flight", flight], check=True, capture_output=True)
    return flight


def _runs(images: Path, runs: int, folder: Path) -> dict[str, float]:
    pairs = [(_pipeline(images, folder / f"p{i}"), _engine(images, folder / f"e{i}")) for i in range(runs)]
    return {
        "pipeline_s": statistics.median(whole for whole, _ in pairs),
        "engine_and_copies_s": statistics.median(bare for _, bare in pairs),
        "ratio": statistics.median(whole / bare for whole, bare in pairs),
    }


def _pipeline(images: Path, folder: Path) -> float:
    began = time.monotonic()
    subprocess.run(
        [BIN / "flightline", "run", images, "--out", folder / "out", "--json"],
        check=True,
        capture_output=True,
        env=os.environ | {"FLIGHTLINE_HOME": str(folder / "home")},
    )
    return time.monotonic() - began


def _engine(images: Path, folder: Path) -> float:
    began = time.monotonic()
    staged = folder / "images"
    _copy(images, staged)
    command = [sys.executable, "-m", "odm_gateway.orthophoto", str(staged), str(folder / "project")]
    with subprocess.Popen(
        [*command, "--options", "{}"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as worker:
        if worker.wait() != 0:
            raise RuntimeError("the engine failed")
    shutil.rmtree(folder / "project" / "work", ignore_errors=True)
    _copy(folder / "project", folder / "products")
    return time.monotonic() - began


def _copy(source: Path, target: Path) -> None:
    """Copy a tree and have it on disk."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("truth", ".lock"))
    for path in target.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _idle(folder: Path) -> dict[str, float]:
    environment = os.environ | {"FLIGHTLINE_HOME": str(folder / "up")}
    environment |= {name: str(port) for name, port in PORTS.items()}
    began = time.monotonic()
    process = subprocess.Popen([BIN / "flightline", "up"], env=environment, stderr=subprocess.DEVNULL)
    try:
        for port in PORTS.values():
            _wait_ready(port, began)
        started = time.monotonic() - began
        time.sleep(SETTLED_AFTER_S)
        if process.poll() is not None:
            raise RuntimeError("flightline up ended: does another one hold its ports?")
        return {"start_s": started} | _sampled(psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(30)


def _wait_ready(port: int, began: float) -> None:
    while time.monotonic() - began < START_AT_MOST_S:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"port {port} did not become ready")


def _sampled(server: psutil.Process) -> dict[str, float]:
    """Measure the server and its children over a while without work."""
    processes = [server, *server.children(recursive=True)]
    before = sum(_cpu_s(process) for process in processes)
    time.sleep(IDLE_S)
    cpu_s = sum(_cpu_s(process) for process in processes) - before
    rss_bytes = sum(process.memory_info().rss for process in processes)
    return {"idle_cpu_percent": 100 * cpu_s / IDLE_S, "idle_rss_mb": rss_bytes / 1e6}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _table(figures: dict[str, float]) -> str:
    targets = {"ratio": "<= 1.10", "start_s": "< 3", "idle_cpu_percent": "< 1", "idle_rss_mb": "< 250"}
    return "\n".join(f"{name:<22}{value:>10.2f}  {targets.get(name, '')}" for name, value in figures.items())


if __name__ == "__main__":
    main()
