"""What datalab's API costs: long lists, reads while operations run, and questions about images.

    python -m bench.datalab_api [--json] [--repeats 15] [--running 20]

The real service, on a like machine on another day, took 1.9 to 2.6 s for the list of 100 sessions with 1,090
operations; 1.04, 1.25 and 3.05 s for raw data, a JPEG and a TIFF of 2048 x 2048 pixels; 55 s to say that it
does not know a file. The peer in the same run is a bare application on the same HTTP server that answers the
same bytes from memory: no list can cost less. Times are medians of the repeats as a client sees them (of the
unknown file: the longest); CPU is the service's. The first list is that of a service that just began.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import httpx
import psutil
from tests.support.mongo import mongo_server
from tests.support.processes import free_port

from bench.datalab_load import frame_bytes, seeded
from bench.used import MB, peak_bytes
from flightline.archive_simulator import ArchiveSimulator, serving_archive

BIN = Path(sys.executable).parent
START_AT_MOST_S = 60.0
SESSIONS = "/api/datasessions/"
FILES, SIDE, LARGE_SIDE = 8, 1024, 2048
GOALS = {
    "list, SQLite: CPU, ms": 50,
    "list, Mongo-wire: CPU, ms": 50,
    "read a session under load: p99, ms": 100,
    "read an operation under load: p99, ms": 100,
    "list under load: p99, ms": 100,
    "unknown basename: ms": 1000,
    "raw-data: ms": 100,
    "get-jpg: ms": 100,
    "get-tif: ms": 300,
}


@dataclass(frozen=True, slots=True)
class Served:
    """A running datalab."""

    http: httpx.Client
    pid: int

    def cpu_s(self) -> float:
        """Return the processor time of the service itself, without its workers."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--running", type=int, default=20)
    given = parser.parse_args()
    figures = {"load average at the start": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        figures |= _lists(Path(folder), given.repeats)
        with _archive() as archive, _datalab(Path(folder) / "busy", archive=archive) as served:
            figures |= _under_load(served, given.running)
            figures |= _questions(served, given.repeats)
            figures["peak RSS of the service, MB"] = peak_bytes(served.pid) / MB
    print(json.dumps(figures, indent=1) if given.json else _table(figures))


def _lists(folder: Path, repeats: int) -> dict[str, float]:
    (folder / "mongo").mkdir()
    with _datalab(folder / "embedded", sessions=100) as served:
        figures, content = _list(served, repeats, "SQLite")
    with mongo_server(folder / "mongo") as url:
        state = f"{url}/bench"
        with _datalab(folder / "server", sessions=100, state=state) as served:
            figures |= _list(served, repeats, "Mongo-wire")[0]
    (folder / "list.json").write_bytes(content)
    with _bare(folder / "list.json") as served:
        figures |= _timed(served, SESSIONS, repeats, "the same bytes from memory")
    return {"list: MB": len(content) / MB, **figures}


def _list(served: Served, repeats: int, name: str) -> tuple[dict[str, float], bytes]:
    first = _timed(served, SESSIONS, 1, f"first list, {name}")
    content = served.http.get(SESSIONS).content
    return first | _timed(served, SESSIONS, repeats, f"list, {name}"), content


def _timed(served: Served, path: str, repeats: int, name: str) -> dict[str, float]:
    began_s = served.cpu_s()
    took_ms = [_took_ms(lambda: served.http.get(path)) for _ in range(repeats)]
    cpu_ms = (served.cpu_s() - began_s) * 1000 / repeats
    return {f"{name}: ms": statistics.median(took_ms), f"{name}: CPU, ms": cpu_ms}


def _under_load(served: Served, running: int) -> dict[str, float]:
    """Read while so many operations have not ended; each is a median of four images of its own choice."""
    names = [_uploaded(served.http, f"{number}.fits", number, SIDE) for number in range(FILES)]
    session = served.http.post(SESSIONS, json={"name": "busy"}).json()["id"]
    operations = f"{SESSIONS}{session}/operations/"
    for chosen in islice(combinations(names, 4), running):
        inputs = {"input_files": [{"source": "upload", "basename": name} for name in chosen]}
        answer = served.http.post(operations, json={"name": "Median", "input_data": inputs})
        answer.raise_for_status()
    last = f"{operations}{answer.json()['id']}/"
    paths = {"read a session": f"{SESSIONS}{session}/", "read an operation": last, "list": SESSIONS}
    took_ms: dict[str, list[float]] = {name: [] for name in paths}
    began_s = time.monotonic()
    while served.http.get(last).json()["status"] in ("PENDING", "IN_PROGRESS"):
        for name, path in paths.items():
            took_ms[name].append(_took_ms(lambda path=path: served.http.get(path)))  # type: ignore[misc]
    ended_s = time.monotonic() - began_s
    ended = [one["status"] for one in served.http.get(operations).json()["results"]]
    assert set(ended) == {"COMPLETED"}, ended
    figures = {"operations a second": running / ended_s, "reads of each kind": len(took_ms["list"])}
    for name, times_ms in took_ms.items():
        times_ms.sort()
        figures[f"{name} under load: p50, ms"] = statistics.median(times_ms)
        figures[f"{name} under load: p99, ms"] = times_ms[int(len(times_ms) * 0.99)]
    return figures


def _questions(served: Served, repeats: int) -> dict[str, float]:
    names = [_uploaded(served.http, f"large{number}.fits", 100 + number, LARGE_SIDE) for number in range(5)]

    def ask(action: str, name: str, source: str = "upload", **more: Any) -> httpx.Response:
        asked = {"basename": name, "source": source, **more}
        return served.http.post(f"/api/analysis/{action}/", json=asked)

    figures = {}
    for action in ("raw-data", "get-jpg", "get-tif"):
        ask(action, _uploaded(served.http, f"warm-{action}.fits", 200, LARGE_SIDE)).raise_for_status()
        times_ms = [_took_ms(lambda name=name: ask(action, name)) for name in names]  # type: ignore[misc]  # noqa: B023
        figures[f"{action}: ms"] = statistics.median(times_ms)
    unknown = [_took_ms(lambda: ask("wcs", "nobody-knows-it", "archive"), 400) for _ in range(repeats)]
    return {**figures, "unknown basename: ms": max(unknown)}


def _uploaded(http: httpx.Client, name: str, seed: int, side: int) -> str:
    http.post("/api/uploads/", files={"file": (name, frame_bytes(seed, side))}).raise_for_status()
    return name


def _took_ms(ask: Callable[[], httpx.Response], status: int = 200) -> float:
    began_s = time.perf_counter()
    answer = ask()
    took_ms = (time.perf_counter() - began_s) * 1000
    if answer.status_code != status:
        raise RuntimeError(f"answered {answer.status_code}: {answer.text[:200]}")
    return took_ms


@contextmanager
def _datalab(
    home: Path, *, sessions: int = 0, state: str | None = None, archive: str = ""
) -> Iterator[Served]:
    home.mkdir()
    port = free_port()
    token = asyncio.run(seeded(state or f"sqlite://{home}/state.db", sessions))
    environment = os.environ | {"FLIGHTLINE_HOME": str(home), "DATALAB_PORT": str(port)}
    environment |= {"FLIGHTLINE_STATE": state} if state else {}
    environment |= {"DATALAB_ARCHIVE_URL": archive} if archive else {}
    with _running([str(BIN / "datalab")], port, environment, token) as served:
        yield served


@contextmanager
def _bare(file: Path) -> Iterator[Served]:
    port = free_port()
    command = [sys.executable, "-m", "bench.bare_http", str(port), str(file)]
    with _running(command, port, dict(os.environ), "none") as served:
        yield served


@contextmanager
def _running(command: list[str], port: int, environment: dict[str, str], token: str) -> Iterator[Served]:
    quiet = subprocess.DEVNULL
    with (
        subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as process,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Token {token}"},
            timeout=120,
            verify=False,
        ) as http,
    ):
        try:
            _wait(http)
            yield Served(http, process.pid)
        finally:
            process.terminate()


def _wait(http: httpx.Client) -> None:
    until_s = time.monotonic() + START_AT_MOST_S
    while time.monotonic() < until_s:
        try:
            http.get("/healthz")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("nothing answers")


@contextmanager
def _archive() -> Iterator[str]:
    """Serve an archive without frames, in a thread."""
    found: list[str] = []
    is_there, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving_archive(ArchiveSimulator()) as archive:
            found.append(archive.url)
            is_there.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert is_there.wait(START_AT_MOST_S)
        yield found[0]
    finally:
        ended.set()
        thread.join()


def _table(figures: dict[str, float]) -> str:
    lines = []
    for name, value in figures.items():
        goal = f"   goal {GOALS[name]}{'' if value <= GOALS[name] else ', MISSED'}" if name in GOALS else ""
        lines.append(f"{name:44}{value:10.1f}{goal}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
