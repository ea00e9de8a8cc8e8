"""How fast the object stores are, beside what lies under them.

    python -m bench.objects [--json] [--mebibytes 256] [--repeats 5]

``FileObjects`` beside ``cp`` and a plain write, each with fsync, on the same disk; ``S3Objects`` beside
aiobotocore as it comes, on the same server, which keeps nothing (moto would be what is measured). Peers run
interleaved, figures are medians: MB/s, and small objects per second.
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
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiobotocore.session import get_session
from pydantic import SecretStr
from tests.support.processes import free_port, running

from shared.objects.file import FileObjects
from shared.objects.open import open_objects
from shared.objects.port import ObjectStore

SMALL = 500
CALLERS = 16
MB = 1_000_000

Step = Callable[[], Awaitable[float]]


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    """Yield ``content`` as a network would."""
    view = memoryview(content)
    for start in range(0, len(content), 1 << 18):
        yield bytes(view[start : start + (1 << 18)])


async def seconds(operation: Awaitable[object]) -> float:
    """Return how long ``operation`` takes."""
    began = time.perf_counter()
    await operation
    return time.perf_counter() - began


async def small_puts(put: Callable[[str], Awaitable[object]]) -> float:
    """Return how many small puts per second end."""
    numbers = iter(range(SMALL))

    async def call() -> None:
        for n in numbers:
            await put(f"small/{n}")

    return SMALL / await seconds(asyncio.gather(*(call() for _ in range(CALLERS))))


def sync(path: Path) -> None:
    """Put a file on disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def copy(source: Path, target: Path) -> None:
    """Copy as ``cp`` does, and put the copy on disk."""
    subprocess.run(["cp", "--reflink=never", source, target], check=True)
    sync(target)


def write(content: bytes, target: Path) -> None:
    """Write at once, and put the file on disk."""
    target.write_bytes(content)
    sync(target)


def file_steps(folder: Path, content: bytes) -> dict[str, Step]:
    """Return what to measure of a folder."""
    objects, source = FileObjects(folder / "objects"), folder / "source"
    source.write_bytes(content)

    async def speed(operation: Awaitable[object]) -> float:
        await asyncio.to_thread(os.sync)  # nobody pays for another's writes
        return len(content) / MB / await seconds(operation)

    return {
        "file: put a path, MB/s": lambda: speed(objects.put("path", source)),
        "peer: cp + fsync, MB/s": lambda: speed(asyncio.to_thread(copy, source, folder / "copy")),
        "file: put a stream, MB/s": lambda: speed(objects.put("stream", pieces(content))),
        "file: put bytes, MB/s": lambda: speed(objects.put("bytes", content)),
        "peer: write + fsync, MB/s": lambda: speed(asyncio.to_thread(write, content, folder / "written")),
        "file: download, MB/s": lambda: speed(objects.download("path", folder / "out")),
        "file: put 1 KB, per s": lambda: small_puts(lambda key: objects.put(key, bytes(1024))),
    }


def s3_write_steps(objects: ObjectStore, client: Any, content: bytes) -> dict[str, Step]:
    """Return what to measure of writing to S3."""
    target = {"Bucket": "bench", "Key": "k"}
    eight = content[: 8 << 20]

    async def plain_parts() -> None:
        begun = await client.create_multipart_upload(**target)
        upload = {**target, "UploadId": begun["UploadId"]}
        slots = asyncio.Semaphore(4)

        async def send(number: int) -> None:
            start = (number - 1) * (16 << 20)
            async with slots:
                await client.upload_part(
                    **upload, PartNumber=number, Body=content[start : start + (16 << 20)]
                )

        await asyncio.gather(*(send(number + 1) for number in range(-(-len(content) // (16 << 20)))))
        await client.complete_multipart_upload(**upload, MultipartUpload={"Parts": []})

    async def many(put: Callable[[str], Awaitable[object]]) -> float:
        seconds_taken = await seconds(asyncio.gather(*(put(f"k{n}") for n in range(CALLERS))))
        return len(eight) * CALLERS / MB / seconds_taken

    return {
        "s3: put in parts, MB/s": lambda: speed(content, objects.put("k", content)),
        "peer: aiobotocore in parts, MB/s": lambda: speed(content, plain_parts()),
        "s3: put 16 x 8 MB, MB/s": lambda: many(lambda key: objects.put(key, eight)),
        "peer: aiobotocore 16 x 8 MB, MB/s": lambda: many(
            lambda key: client.put_object(Bucket="bench", Key=key, Body=eight)
        ),
        "s3: put 1 KB, per s": lambda: small_puts(lambda key: objects.put(key, bytes(1024))),
        "peer: aiobotocore 1 KB, per s": lambda: small_puts(
            lambda key: client.put_object(Bucket="bench", Key=key, Body=bytes(1024))
        ),
    }


def s3_read_steps(objects: ObjectStore, client: Any, folder: Path, content: bytes) -> dict[str, Step]:
    """Return what to measure of reading from S3."""

    async def plain(take: Callable[[bytes], object]) -> None:
        answer = await client.get_object(Bucket="bench", Key="k")
        async with answer["Body"] as body:
            while chunk := await body.read(1 << 20):
                take(chunk)

    async def plain_download() -> None:
        with (folder / "plain").open("wb") as file:
            await plain(file.write)
            file.flush()
            os.fsync(file.fileno())

    async def read() -> None:
        async with objects.open("k") as chunks:
            async for _ in chunks:
                pass

    return {
        "s3: read a stream, MB/s": lambda: speed(content, read()),
        "peer: aiobotocore read, MB/s": lambda: speed(content, plain(len)),
        "s3: download, hash checked, MB/s": lambda: speed(content, objects.download("k", folder / "got")),
        "peer: aiobotocore download + fsync, MB/s": lambda: speed(content, plain_download()),
    }


async def speed(content: bytes, operation: Awaitable[object]) -> float:
    """Return at how many megabytes a second ``operation`` moves ``content``."""
    return len(content) / MB / await seconds(operation)


async def measure(steps: dict[str, Step], repeats: int) -> dict[str, float]:
    """Run ``steps`` in turn, the first time unmeasured, and return medians."""
    runs: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats + 1):
        for name, step in steps.items():
            runs[name].append(await step())
    medians = {name: round(statistics.median(figures[1:]), 1) for name, figures in runs.items()}
    return medians | _ratios(runs)


def _ratios(runs: dict[str, list[float]]) -> dict[str, float]:
    """Return ours over the peer that follows it, pair by pair, as median: the machine's moods cancel out."""
    names = list(runs)
    return {
        f"ratio of {ours}": round(
            statistics.median(a / b for a, b in zip(runs[ours][1:], runs[peer][1:], strict=True)), 3
        )
        for ours, peer in pairwise(names)
        if peer.startswith("peer") and not ours.startswith("peer")
    }


async def measure_all(mebibytes: int, repeats: int) -> dict[str, float]:
    """Measure both stores and their peers."""
    content, port = os.urandom(1 << 20) * mebibytes, free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "bench.null_s3", str(port), str(len(content))]
    with tempfile.TemporaryDirectory() as name, running(command, port, Path(name) / "log"):
        folder = Path(name)
        figures = await measure(file_steps(folder, content), repeats)
        async with (
            open_objects(
                "s3://bench", endpoint_url=url, region="x", access_key="x", secret_key=SecretStr("y")
            ) as objects,
            get_session().create_client(
                "s3", endpoint_url=url, region_name="x", aws_access_key_id="x", aws_secret_access_key="y"
            ) as client,
        ):
            figures |= await measure(s3_write_steps(objects, client, content), repeats)
            return figures | await measure(s3_read_steps(objects, client, folder, content), repeats)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mebibytes", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = asyncio.run(measure_all(arguments.mebibytes, arguments.repeats))
    rows = [f"{name:52}{figure:>12,.2f}" for name, figure in figures.items()]
    print(json.dumps(figures, indent=1) if arguments.json else "\n".join(rows))


if __name__ == "__main__":
    main()
