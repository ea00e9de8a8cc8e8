"""What scaling costs: the kernel beside bare codecs, the service beside the steps of the script it replaces.

    python -m bench.scaler [--json] [--images 20] [--megapixels 12] [--repeats 3]

The kernel is `scale_image`, whole, beside decode, resize and encode alone, in one process and in turn. The
service takes images from a WebDAV server of this machine and brings them back twice as large, verified; the
script's steps (read to a file, decode, resize, write as PNG, upload, delete, in batches of ten threads) do
the same over the same server. Each runs in a process of its own; figures are medians.

Processor time is that of a process and its children, less what it takes with four images: what starting
costs is left out. Memory is the most that all of them had together, shared pages once, with the files through
which they hand images on.
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
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urljoin

import cv2
import numpy as np
import psutil
import simplejpeg
from tests.support.dav_servers import PASSWORD, USER, RunningDav, running_dav

from bench.used import MB
from scaler.domain.asks import Asks
from scaler.imaging import scale_image, turbo
from shared.logging import configure_logging

LIMIT = 400_000_000
LIMIT_S = 1800.0
"""For one run."""
TRANSFERS = 10
WARM = 4
"""Images after which all processes have started."""
Way = Literal["default", "turbo", "script"]


def main() -> None:
    """Measure and print; or be one of those that are measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=["default", "turbo", "script"], help=argparse.SUPPRESS)
    parser.add_argument("--place", nargs=2, metavar=("URL", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        _be_measured(given.child, *given.place)
        return
    configure_logging("bench", log_format="json", level="warning")
    cv2.setNumThreads(1)
    photo = made_photo(given.megapixels)
    figures = {"photo, MB": len(photo) / MB} | kernel(photo, given.repeats)
    figures |= asyncio.run(workers(photo, given.images, given.repeats))
    figures |= pipeline(photo, given.images, given.repeats)
    figures["load, runnable"] = os.getloadavg()[0]
    rounded = {name: round(figure, 3) for name, figure in figures.items()}
    rows = [f"{name:64}{figure:>12,.3f}" for name, figure in rounded.items()]
    print(json.dumps(rounded, indent=1) if given.json else "\n".join(rows))
    if not turbo.is_there():
        print("libturbojpeg is not installed (apt-get install libturbojpeg0): not measured", file=sys.stderr)


def made_photo(megapixels: float) -> bytes:
    """Return a JPEG as drones make them, 4:2:2, with detail at every size."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5 / 16) * 16
    height = round(width * 3 / 4 / 16) * 16
    random = np.random.default_rng(1)
    pixels = np.zeros((height, width, 3), np.float32)
    for octave in range(3, 12):
        small = random.normal(0, 110 / octave**1.4, (3 * 2**octave // 4, 2**octave, 1)).astype(np.float32)
        colours = random.normal(0, 25 / octave**1.4, (3 * 2**octave // 4, 2**octave, 3)).astype(np.float32)
        pixels += cv2.resize(small + colours, (width, height), interpolation=cv2.INTER_CUBIC)
    pixels += random.normal(0, 5.0, (height, width, 1)).astype(np.float32)
    return bytes(simplejpeg.encode_jpeg((pixels + 120).clip(0, 255).astype(np.uint8), 93, "BGR", "422"))


def kernel(photo: bytes, repeats: int) -> dict[str, float]:
    """Return processor time of an image, and how much of it bare decode, resize and encode take."""
    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "default": (lambda: bare(photo), lambda: ours(photo, fast=False))
    }
    if turbo.is_there():
        ways["turbo"] = (lambda: bare_planes(photo), lambda: ours(photo, fast=True))
    figures = {}
    for name, both in ways.items():
        runs = [[_cpu_s(work) for work in both] for _ in range(2 * repeats + 2)][1:]
        alone, whole = (statistics.median(times) for times in zip(*runs, strict=True))
        figures[f"kernel, {name}: CPU, s an image"] = whole
        figures[f"kernel, {name}: share of bare decode, resize, encode"] = alone / whole
    return figures


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def ours(photo: bytes, *, fast: bool) -> object:
    """Scale with headers, limits, metadata, provenance, hashes and the look at the result."""
    return scale_image(photo, Asks(), pixels_at_most=LIMIT, turbo=fast)


def bare(photo: bytes) -> object:
    """Do only what cannot be spared."""
    pixels = simplejpeg.decode_jpeg(photo, "BGR")
    larger = cv2.resize(pixels, (2 * pixels.shape[1], 2 * pixels.shape[0]), interpolation=cv2.INTER_LINEAR)
    return simplejpeg.encode_jpeg(larger, 93, "BGR", "422")


def bare_planes(photo: bytes) -> object:
    """Do the same by planes."""
    from turbojpeg import TurboJPEG  # noqa: PLC0415 - an extra

    planes = [
        cv2.resize(plane, (2 * plane.shape[1], 2 * plane.shape[0]), interpolation=cv2.INTER_LINEAR)
        for plane in TurboJPEG().decode_to_yuv_planes(photo)
    ]
    return simplejpeg.encode_jpeg_yuv_planes(*planes, 93)


async def workers(photo: bytes, images: int, repeats: int) -> dict[str, float]:
    """Return how many images a second one and two processes scale."""
    from scaler.codecs import Codecs  # noqa: PLC0415 - not in the processes that are measured

    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(repeats):
        for count, found in rates.items():
            async with Codecs(count) as codecs:
                await asyncio.gather(*(codecs.scale(photo, Asks()) for _ in range(count)))
                began = time.perf_counter()
                await asyncio.gather(*(codecs.scale(photo, Asks()) for _ in range(images)))
                found.append(images / (time.perf_counter() - began))
    figures = {
        f"codecs, {count} processes: images/s": statistics.median(found) for count, found in rates.items()
    }
    gains = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    return figures | {"codecs, 2 processes over 1": statistics.median(gains)}


def pipeline(photo: bytes, images: int, repeats: int) -> dict[str, float]:
    """Return what the service and the script's steps take for images of a WebDAV server."""
    ways: list[Way] = ["default", "script", *(["turbo"] if turbo.is_there() else [])]  # type: ignore[list-item]
    runs: dict[Way, list[dict[str, float]]] = {way: [] for way in ways}
    with running_dav("lighttpd") as server:
        for _ in range(repeats):
            for way in ways:
                warm = _measured(way, server, photo, WARM)
                runs[way].append(_measured(way, server, photo, images + WARM) | {"warm": warm["cpu"]})
    figures: dict[str, float] = {}
    for way, found in runs.items():
        each = [(run["cpu"] - run["warm"]) / images for run in found]
        figures[f"WebDAV, {way}: CPU, s an image"] = statistics.median(each)
        figures[f"WebDAV, {way}: images/s"] = statistics.median((images + WARM) / run["s"] for run in found)
        figures[f"WebDAV, {way}: peak memory, MB"] = statistics.median(run["peak"] / MB for run in found)
        figures[f"WebDAV, {way}: result, MB an image"] = found[-1]["result"] / (images + WARM) / MB
    script = figures["WebDAV, script: CPU, s an image"]
    for way in [way for way in ways if way != "script"]:
        figures[f"WebDAV, script over {way}: CPU"] = script / figures[f"WebDAV, {way}: CPU, s an image"]
    return figures


def _measured(way: Way, server: RunningDav, photo: bytes, images: int) -> dict[str, float]:
    """Run one who scales all that lies in ``raw`` into ``unsorted``."""
    with _filled(server, photo, images):
        command = [sys.executable, "-m", "bench.scaler", "--child", way]
        command += ["--place", server.place.url, str(server.folder)]
        with tempfile.TemporaryDirectory() as home:
            began = time.perf_counter()
            process = subprocess.Popen(command, env=_environment(server, home), cwd=Path(__file__).parents[1])
            peak = ended = 0
            while not ended:
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
                peak = max(peak, _memory_bytes(process.pid))
                if time.perf_counter() - began > LIMIT_S:
                    process.kill()
                time.sleep(0.05)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds = time.perf_counter() - began
        results = list((server.folder / "unsorted").iterdir())
        if process.returncode or len(results) != images or list((server.folder / "raw").iterdir()):
            raise RuntimeError(f"{way} ended with {process.returncode} and {len(results)} of {images} images")
        size = sum(path.stat().st_size for path in results)
        return {"cpu": used.ru_utime + used.ru_stime, "s": seconds, "peak": peak, "result": size}


@contextmanager
def _filled(server: RunningDav, photo: bytes, images: int) -> Iterator[None]:
    raw, unsorted = server.folder / "raw", server.folder / "unsorted"
    for folder in (raw, unsorted):
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
    for number in range(images):
        with (raw / f"DJI_{number:04}.JPG").open("wb") as file:
            file.write(photo[:-2] + b"\xff\xfe\x00\x06%04d" % number + photo[-2:])  # no two are the same
        os.utime(file.name, (1_700_000_000 + number,) * 2)
    yield


def _environment(server: RunningDav, home: str) -> dict[str, str]:
    ours = {
        "FLIGHTLINE_HOME": home,
        "FLIGHTLINE_LOG_LEVEL": "warning",
        "FLIGHTLINE_WEBDAV_URL": server.place.url,
        "FLIGHTLINE_WEBDAV_USERNAME": USER,
        "FLIGHTLINE_WEBDAV_PASSWORD": PASSWORD,
        "SCALER_RAW_NAMES_PREFIXES": "DJI",
        "SCALER_RAW_REMOTE_DIR": "raw",
        "SCALER_UNSORTED_REMOTE_DIR": "unsorted",
        "SCALER_TRANSFERS_AT_ONCE": str(TRANSFERS),
        "SCALER_FREQUENCY": "1s",
        "SCALER_AT_REST": "0s",
    }
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FLIGHTLINE_", "SCALER_"))
    }
    return kept | ours


def _memory_bytes(pid: int) -> int:
    """Return what a process and its children have now, and the images in files between them."""
    total = 0
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if "memfd:scaler" in str(file.readlink()):
                    total += file.stat().st_size
    return total


def _be_measured(way: Way, url: str, folder: str) -> None:
    if way == "script":
        script(url, Path(folder))
    else:
        asyncio.run(service(Path(folder), fast=way == "turbo"))


async def service(folder: Path, *, fast: bool) -> None:
    """Run the scaler's WebDAV mode until nothing is left to scale."""
    from scaler.codecs import Codecs  # noqa: PLC0415 - only in the service's process
    from scaler.collections import RAW_IMAGES, SWITCHES  # noqa: PLC0415
    from scaler.config import Settings  # noqa: PLC0415
    from scaler.webdav.opening import opened_webdav  # noqa: PLC0415
    from shared.messaging.relay import OutboxRelay  # noqa: PLC0415
    from shared.platform import open_platform  # noqa: PLC0415
    from shared.settings import PlatformSettings, load  # noqa: PLC0415

    configure_logging("bench", log_format="json", level="warning")
    async with open_platform(load(PlatformSettings), ()) as on:
        await on.store.declare(RAW_IMAGES, SWITCHES)
        relay = OutboxRelay(on.transport, on.store, [RAW_IMAGES.name])
        async with (
            Codecs(turbo=fast) as codecs,
            opened_webdav(load(Settings), on, codecs, relay.wake) as mode,
        ):
            running = asyncio.create_task(mode.run())
            while next((folder / "raw").iterdir(), None) is not None:  # noqa: ASYNC110 - the server empties it
                await asyncio.sleep(0.1)
            running.cancel()
            await asyncio.wait([running])


def script(url: str, folder: Path) -> None:
    """Do what the script does, its files in a folder of its own and its threads in batches of ten."""
    import requests  # noqa: PLC0415 - only in the script's process

    cv2.setNumThreads(-1)
    names = sorted(path.name for path in (folder / "raw").iterdir())

    def one(number: int, name: str, temporary: Path) -> None:
        with requests.Session() as session:
            session.auth = (USER, PASSWORD)
            here, larger = temporary / name, temporary / f"jh_rescaler_{number}.png"
            with session.get(urljoin(url, f"raw/{name}"), stream=True, timeout=600) as answer:
                answer.raise_for_status()
                with here.open("wb") as file:
                    for chunk in answer.iter_content(10_000):
                        file.write(chunk)
            pixels: Any = cv2.imread(str(here))
            size = (2 * pixels.shape[1], 2 * pixels.shape[0])
            cv2.imwrite(str(larger), cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR))
            with larger.open("rb") as file:
                session.put(
                    urljoin(url, f"unsorted/{larger.name}"), data=file, timeout=600
                ).raise_for_status()
            session.delete(urljoin(url, f"raw/{name}"), timeout=600).raise_for_status()
            here.unlink()
            larger.unlink()

    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(TRANSFERS) as pool:
        for start in range(0, len(names), TRANSFERS):
            batch = enumerate(names[start : start + TRANSFERS], start)
            done, _ = wait([pool.submit(one, number, name, Path(home)) for number, name in batch])
            for future in done:
                future.result()


if __name__ == "__main__":
    main()
