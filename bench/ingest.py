"""How fast a flight is staged, and what an unchanged one costs.

    python -m bench.ingest [--json] [--files 400] [--bytes 5500000] [--repeats 3] [--unchanged 10000]

A flight on a web server of this machine goes into an S3 server that keeps nothing: through ingest as it runs
in production (journal, hashes, both listings, manifest), through bare aiohttp GET + PUT, and through
``rclone copy`` where that is installed. Each has the same number of files under way, and runs in a process of
its own, in turn with the others; figures are medians. Of the three, only ingest hashes what it copies.

Processor time is that of the copying; what a process takes to start is told apart, and is part of rclone's,
whose start cannot be told. What the servers take is told as well: on few cores it limits everybody.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
import psutil
from pydantic import SecretStr
from tests.support.listening import TELLING, heard
from tests.support.processes import free_port, running

from bench.used import MB, peak_bytes
from ingest.config import Settings
from ingest.main import create_app
from ingest.resources import SUBSCRIPTIONS
from shared.events import FlightFound, ImagesStaged, new_event
from shared.logging import configure_logging
from shared.messaging.codec import encode
from shared.platform import Platform, open_platform
from shared.service.serving import new_event_loop
from shared.settings import PlatformSettings
from shared.sources import flight_id, open_sources, read_flight

GB = 1_000_000_000
AT_ONCE = 8
KEYS = {"s3_access_key": "x", "s3_secret_key": SecretStr("y"), "s3_region": "us-east-1"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files come from, and where they go to."""

    source: str
    s3: str
    files: int
    servers: tuple[int, ...] = ()
    """Their processes."""


def main() -> None:
    """Measure and print; or be one of those that are measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--bytes", type=int, default=5_500_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--unchanged", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=["ours", "raw"], help=argparse.SUPPRESS)
    parser.add_argument("--place", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        place = Place(given.place[0], given.place[1], given.files)
        print(json.dumps(measured_here(ours if given.child == "ours" else raw, place)))
        return
    figures = staging(given.files, given.bytes, given.repeats) | unchanged(given.unchanged)
    rows = [f"{name:56}{figure:>14,.2f}" for name, figure in figures.items()]
    print(json.dumps(figures, indent=1) if given.json else "\n".join(rows))
    if shutil.which("rclone") is None:
        print(
            "rclone is not installed (apt-get install rclone): nothing was compared with it", file=sys.stderr
        )


def staging(files: int, size_bytes: int, repeats: int) -> dict[str, float]:
    """Return medians of all who can be measured."""
    with servers(files, size_bytes) as place:
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "raw": []}
        if shutil.which("rclone"):
            runs["rclone"] = []
        for _ in range(repeats + 1):
            for name, found in runs.items():
                before_s = cpu_s(place.servers)
                run = rclone(place) if name == "rclone" else child(name, place)
                found.append(run | {"servers": cpu_s(place.servers) - before_s})
    total_bytes = files * size_bytes
    figures = {
        f"{name}: {what}": round(statistics.median(values), 2)
        for name, found in runs.items()
        for what, values in told(found[1:], total_bytes).items()
    }
    for peer in [name for name in runs if name != "ours"]:
        pairs = zip(runs["ours"][1:], runs[peer][1:], strict=True)
        ratio = statistics.median(other["s"] / our["s"] for our, other in pairs)
        figures[f"ours over {peer}"] = round(ratio, 3)
    return figures | {"load, runnable": round(os.getloadavg()[0], 2)}


def told(runs: list[dict[str, float]], total_bytes: int) -> dict[str, list[float]]:
    """Return the figures of runs."""
    return {
        "MB/s": [total_bytes / MB / run["s"] for run in runs],
        "client CPU, s per GB": [run["copying"] / total_bytes * GB for run in runs],
        "client CPU to start, s": [run["starting"] for run in runs],
        "servers' CPU, s per GB": [run["servers"] / total_bytes * GB for run in runs],
        "peak RSS, MB": [run["peak"] / MB for run in runs],
    }


@contextmanager
def servers(files: int, size_bytes: int) -> Iterator[Place]:
    """Run the web server and the S3 server."""
    web, s3 = free_port(), free_port()
    with (
        tempfile.TemporaryDirectory() as name,
        running(
            [sys.executable, "-m", "bench.http_files", str(web), str(files), str(size_bytes)],
            web,
            Path(name) / "web.log",
        ) as source,
        running(
            [sys.executable, "-m", "bench.null_s3", str(s3), str(size_bytes)], s3, Path(name) / "s3.log"
        ) as store,
    ):
        yield Place(f"http://127.0.0.1:{web}", f"http://127.0.0.1:{s3}", files, (source.pid, store.pid))


def cpu_s(processes: tuple[int, ...]) -> float:
    """Return the processor time that processes have taken so far."""
    times = [psutil.Process(pid).cpu_times() for pid in processes]
    return sum(time.user + time.system for time in times)


def child(name: str, place: Place) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "bench.ingest", "--child", name, "--files", str(place.files)]
    found = subprocess.run(
        [*command, "--place", place.source, place.s3], check=True, capture_output=True, text=True
    )
    figures: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return figures


def measured_here(work: Any, place: Place) -> dict[str, float]:
    """Return how long ``work`` takes by its own account, and what this process took for it."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:  # as services have it
        run: Run = runner.run(work(place))
    return {
        "s": run.ended_s - run.began_s,
        "copying": run.ended_cpu_s - run.began_cpu_s,
        "starting": run.began_cpu_s,
        "peak": peak_bytes(os.getpid()),
    }


class Run:
    """When the copying began and ended, on the clock and in processor time."""

    def __init__(self) -> None:
        self.began_s, self.began_cpu_s = time.perf_counter(), time.process_time()
        self.ended_s, self.ended_cpu_s = self.began_s, self.began_cpu_s

    def over(self) -> Run:
        """Stop the clocks."""
        self.ended_s, self.ended_cpu_s = time.perf_counter(), time.process_time()
        return self


async def raw(place: Place) -> Run:
    """GET and PUT, and nothing else."""
    numbers = iter(range(place.files))
    async with aiohttp.ClientSession() as session:

        async def copy() -> None:
            for number in numbers:
                async with session.get(f"{place.source}/images/{number:05}.jpg") as answer:
                    content = await answer.read()
                async with session.put(f"{place.s3}/bench/{number:05}.jpg", data=content) as stored:
                    await stored.read()

        run = Run()
        await asyncio.gather(*(copy() for _ in range(AT_ONCE)))
        return run.over()


async def ours(place: Place) -> Run:
    """Stage a flight with the service, from its event to ours."""
    backends = {"objects": "s3://bench", "s3_endpoint": place.s3, **KEYS}
    async with ingest(**backends, allow_private_urls=True) as on:
        event = await found(on, f"{place.source}/flight.json", "images")
        run = Run()
        await on.transport.publish(encode(event))
        (staged,) = await heard_later(on)
        assert staged.data.image_count == place.files
        return run.over()


@asynccontextmanager
async def ingest(**settings: Any) -> AsyncIterator[Platform]:
    """Run ingest on embedded bus and state."""
    configure_logging("bench", log_format="json", level="error")
    with tempfile.TemporaryDirectory() as home:
        chosen = PlatformSettings(**{"home": Path(home), **settings})
        async with open_platform(chosen, (*SUBSCRIPTIONS, *TELLING)) as on:
            app = create_app(Settings(files_at_once=AT_ONCE), on)
            async with app.router.lifespan_context(app):
                yield on


async def found(on: Platform, uri: str, images_path: str, rerun: int = 0) -> Any:
    """Look at a flight as discovery does, and return what it tells."""
    async with open_sources(on.settings) as sources:
        source = await sources.at(uri)
        files = await read_flight(source, images_path, on.settings.file_rule)
    data = FlightFound(
        flight_id=flight_id(source, images_path),
        version=files.version,
        name="bench",
        source=uri,
        images_path=images_path,
        image_count=len(files.images),
        total_bytes=files.total_bytes,
        rerun=rerun,
    )
    return new_event("flightline/discovery", data)


async def heard_later(on: Platform) -> Any:
    """Wait for what is told, however long it takes."""
    while True:
        try:
            return await heard(on, ImagesStaged, at_least=1)
        except TimeoutError:
            continue


def rclone(place: Place) -> dict[str, float]:
    """Copy the same files with rclone as it comes; the S3 server has no listing to compare with first."""
    environment = {
        "PATH": os.environ["PATH"],
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENDPOINT": place.s3,
        "RCLONE_S3_ACCESS_KEY_ID": "x",
        "RCLONE_S3_SECRET_ACCESS_KEY": "y",
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
        "RCLONE_HTTP_URL": f"{place.source}/images/",
    }
    options = [f"--transfers={AT_ONCE}", "--no-check-dest", "--retries=1", "--quiet"]
    began = time.perf_counter()
    process = subprocess.Popen(["rclone", "copy", ":http:", ":s3:bench", *options], env=environment)
    peak = ended = 0
    while not ended:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        peak = max(peak, peak_bytes(process.pid))
        time.sleep(0.01)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"rclone ended with {process.returncode}")
    return {"s": seconds, "copying": used.ru_utime + used.ru_stime, "starting": 0.0, "peak": peak}


def unchanged(files: int) -> dict[str, float]:
    """Return what looking at a staged flight once more costs its source, where listings are pages of 1000."""
    with servers(files, 2_000) as place, asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_unchanged(place))


async def _unchanged(place: Place) -> dict[str, float]:
    async with ingest(s3_endpoint=place.source, **KEYS) as on:
        await _staged(on, rerun=0)
        await asyncio.to_thread(counts, place)
        began = time.perf_counter()
        await _staged(on, rerun=1)
        seconds = time.perf_counter() - began
        asked = await asyncio.to_thread(counts, place)
    return {
        f"unchanged, {place.files} images: content GETs": asked.get("content", 0),
        f"unchanged, {place.files} images: listings": asked.get("listing", 0),
        f"unchanged, {place.files} images: listings needed": -(-place.files // 1000),
        f"unchanged, {place.files} images: s": round(seconds, 2),
    }


async def _staged(on: Platform, rerun: int) -> None:
    event = await found(on, "s3://flight/images", "", rerun)
    await on.transport.publish(encode(event))
    await heard_later(on)


def counts(place: Place) -> dict[str, int]:
    """Return what was asked of the web server since the last call."""
    with urlopen(f"{place.source}/counts", timeout=10) as answer:
        told: dict[str, int] = json.load(answer)
        return told


if __name__ == "__main__":
    main()
