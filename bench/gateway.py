"""The NodeODM API of the gateway, beside NodeODX.

    python -m bench.gateway [--json] [--nodeodx FOLDER] [--tasks 1000] [--seconds 4]

``--nodeodx`` names a checkout of WebODM/NodeODX with its packages installed, which Node runs with ``--test``
in turn with ours. Without it, the peer is what was measured of NodeODX 2.3.1 on Node 20 and 2 cores in
November 2026, on another day than this run: a ratio against it says less.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from tests.support.processes import free_port

from bench.http_load import load
from shared.objects.file import FileObjects

BIN = Path(sys.executable).parent
MIB = 1 << 20
UPLOADS, UPLOAD_MIB = 50, 4
ARCHIVE_MIB = 2048
RANGES = 16
START_AT_MOST_S = 30.0

NODEODX = {
    "info c=1": 115, "info c=16": 180, "task c=1": 3713, "task c=16": 6866, "list c=1": 4111,
    "list c=16": 5538, "output c=16": 4383, "many: info c=16": 104, "many: task c=1": 4055,
    "many: task c=16": 5373, "many: list c=1": 2000, "many: list c=16": 2408, "upload in one, MiB/s": 247,
    "upload c=1, MiB/s": 216, "upload c=8, MiB/s": 289,
}  # fmt: skip
"""Requests per second and MiB/s of NodeODX 2.3.1; medians of several runs."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--nodeodx", type=Path)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    with _gateway() as (url, process, home):
        ours = _measured(url, arguments.tasks, arguments.seconds)
        ours |= _p99_under_uploads(url, arguments.seconds)
        ours |= {"upload, peak RSS in MB": process.memory_info().rss / 1e6}
        ours |= _ranges(url, home, process)
    peer: dict[str, float] = dict(NODEODX)
    if arguments.nodeodx:
        with _nodeodx(arguments.nodeodx) as url:
            peer = _measured(url, arguments.tasks, arguments.seconds)
    print(json.dumps({"ours": ours, "nodeodx": peer}, indent=1) if arguments.json else _table(ours, peer))


@contextmanager
def _gateway() -> Iterator[tuple[str, psutil.Process, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        environment = os.environ | {
            "FLIGHTLINE_HOME": folder,
            "ODM_GATEWAY_ENGINE": "simulate",
            "ODM_GATEWAY_PORT": str(port),
            "ODM_GATEWAY_SIMULATE_SECONDS": "0",
            "ODM_GATEWAY_TASKS_AT_ONCE": "4",
        }
        with _running([str(BIN / "odm-gateway")], f"http://127.0.0.1:{port}", environment) as process:
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid), Path(folder)


@contextmanager
def _nodeodx(checkout: Path) -> Iterator[str]:
    port = free_port()
    command = ["node", "index.js", "--test", "--port", str(port)]
    with _running(command, f"http://127.0.0.1:{port}", dict(os.environ), checkout):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(
    command: list[str], url: str, environment: dict[str, str], folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=quiet, stderr=quiet) as process:
        try:
            _wait(url)
            yield process
        finally:
            process.terminate()


def _wait(url: str) -> None:
    until_s = time.monotonic() + START_AT_MOST_S
    while time.monotonic() < until_s:
        try:
            httpx.get(f"{url}/info", timeout=5)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers at {url}")


def _measured(url: str, tasks: int, seconds: float) -> dict[str, float]:
    with httpx.Client(base_url=url, timeout=60) as http:
        uuid = _finished(http, _task(http))
        figures = _reads(url, uuid, seconds, "")
        figures |= {
            "output c=16": load(f"{url}/task/{uuid}/output", connections=16, seconds=seconds).per_second
        }
        figures |= _uploads(url)
        for _ in range(tasks):
            uuid = _task(http)
        _finished(http, uuid)
        return figures | _reads(url, uuid, seconds, "many: ")


def _reads(url: str, uuid: str, seconds: float, prefix: str) -> dict[str, float]:
    paths = {"info": "/info", "task": f"/task/{uuid}/info", "list": "/task/list"}
    return {
        f"{prefix}{name} c={count}": load(url + path, connections=count, seconds=seconds).per_second
        for name, path in paths.items()
        for count in (1, 16)
    }


def _task(http: httpx.Client) -> str:
    files = [("images", (f"{name}.jpg", b"\xff\xd8 tiny \xff\xd9")) for name in "ab"]
    answer = http.post("/task/new", files=files, data={"name": "bench"}).json()
    return str(answer["uuid"])


def _finished(http: httpx.Client, uuid: str) -> str:
    while http.get(f"/task/{uuid}/info").json()["status"]["code"] < 30:
        time.sleep(0.05)
    return uuid


def _uploads(url: str) -> dict[str, float]:
    content = os.urandom(UPLOAD_MIB * MIB)
    return {
        "upload in one, MiB/s": statistics.median(_in_one(url, content) for _ in range(3)),
        "upload c=1, MiB/s": statistics.median(_one_by_one(url, content, 1) for _ in range(3)),
        "upload c=8, MiB/s": statistics.median(_one_by_one(url, content, 8) for _ in range(3)),
    }


def _in_one(url: str, content: bytes) -> float:
    files = [("images", (f"{number}.jpg", io.BytesIO(content))) for number in range(UPLOADS)]
    began = time.perf_counter()
    httpx.post(f"{url}/task/new", files=files, timeout=120).raise_for_status()
    return UPLOADS * UPLOAD_MIB / (time.perf_counter() - began)


def _one_by_one(url: str, content: bytes, connections: int) -> float:
    with httpx.Client(base_url=url, timeout=120) as http, ThreadPoolExecutor(connections) as pool:
        uuid = http.post("/task/new/init", files={"name": (None, "bench")}).json()["uuid"]

        def upload(number: int) -> None:
            answer = http.post(f"/task/new/upload/{uuid}", files={"images": (f"{number}.jpg", content)})
            assert answer.json() == {"success": True}, answer.text

        began = time.perf_counter()
        list(pool.map(upload, range(UPLOADS)))
        http.post(f"/task/new/commit/{uuid}").raise_for_status()
        return UPLOADS * UPLOAD_MIB / (time.perf_counter() - began)


def _p99_under_uploads(url: str, seconds: float) -> dict[str, float]:
    content = os.urandom(UPLOAD_MIB * MIB)
    with httpx.Client(base_url=url, timeout=120) as http, ThreadPoolExecutor(16) as pool:
        uuid = http.post("/task/new/init", files={"name": (None, "bench")}).json()["uuid"]
        until_s = time.perf_counter() + seconds + 1

        def upload(number: int) -> None:
            while time.perf_counter() < until_s:
                http.post(f"/task/new/upload/{uuid}", files={"images": (f"{number}.jpg", content)})

        uploads = [pool.submit(upload, number) for number in range(16)]
        time.sleep(0.5)
        figures = load(f"{url}/info", connections=1, seconds=seconds)
        for each in uploads:
            each.result()
    return {"info under 16 uploads, p99 in ms": figures.p99_ms}


def _ranges(url: str, home: Path, process: psutil.Process) -> dict[str, float]:
    """Download an archive of 2 GiB as PyODM does, in 16 parts at a time, and see what memory that takes."""
    with httpx.Client(base_url=url, timeout=60) as http:
        uuid = _finished(http, _task(http))
    asyncio.run(_put_archive(home, uuid))
    before, part = process.memory_info().rss, ARCHIVE_MIB * MIB // (RANGES * 8)

    def fetch(start: int) -> int:
        peak, size = 0, 0
        headers = {"Range": f"bytes={start}-{start + part - 1}"}
        with httpx.stream(
            "GET", f"{url}/task/{uuid}/download/all.zip", headers=headers, timeout=120
        ) as answer:
            assert answer.status_code == 206
            for chunk in answer.iter_raw():
                size += len(chunk)
                peak = max(peak, process.memory_info().rss) if size % (8 * MIB) < len(chunk) else peak
        assert size == part
        return peak

    began = time.perf_counter()
    with ThreadPoolExecutor(RANGES) as pool:
        peak = max(pool.map(fetch, range(0, ARCHIVE_MIB * MIB, part)))
    took_s = time.perf_counter() - began
    return {"download in ranges, MiB/s": ARCHIVE_MIB / took_s, "… memory more, MB": (peak - before) / 1e6}


async def _put_archive(home: Path, uuid: str) -> None:
    async def zeros() -> Any:
        for _ in range(ARCHIVE_MIB):
            yield bytes(MIB)

    objects = FileObjects(home / "objects")
    await objects.put(f"products/{uuid}/all.zip", zeros(), content_type="application/zip")


def _table(ours: dict[str, float], peer: dict[str, float]) -> str:
    lines = [f"{'':36}{'ours':>10}{'NodeODX':>10}{'ratio':>8}"]
    for name, value in ours.items():
        theirs = peer.get(name)
        more = f"{theirs:10.0f}{value / theirs:8.2f}" if theirs else ""
        lines.append(f"{name:36}{value:10.1f}{more}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
