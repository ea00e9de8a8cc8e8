"""``flightline run --scale``: an orthophoto of scaled images, whatever ends the process meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from flightline.pipeline import SUBSCRIPTIONS
from scaler.collections import JOBS, PIECES
from scaler.domain.jobs import Job, JobState
from scaler.domain.manifests import Manifest
from scaler.domain.pieces import Piece
from shared.messaging.port import UNROUTED_QUEUE
from shared.messaging.topology import dead_queue
from shared.platform import open_platform
from tests.scaler.pictures import size_of
from tests.support.columns import Column, every, kill, mapped_share


def test_a_flight_is_scaled_and_processed(embedded: Column, flight: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(flight, tmp_path / "meadow")
    (folder / "cut.JPG").write_bytes(photos(flight)[0].read_bytes()[:-2000] + bytes(1998) + b"\xff\xd9")
    out = tmp_path / "out"
    result = embedded.run_json("run", str(folder), "--scale", "1.5", "--out", str(out))

    assert result["status"] == "completed"
    assert (result["images"], result["summary"]["photos_used"]) == (6, 6)
    assert [file["path"] for file in result["left_out"]] == ["cut.JPG"]
    assert mapped_share(out) > 0.1
    assert asyncio.run(scaled_sizes(embedded)) == {original_size(flight, 1.5)}
    assert asyncio.run(left_over(embedded)) == (0, 0, 0)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("backends", ["embedded", "servers"])
def test_a_scaled_flight_killed_at_random_moments_loses_nothing(
    request: pytest.FixtureRequest, backends: str, flight: Path, tmp_path: Path
) -> None:
    column: Column = request.getfixturevalue(backends)
    chance = random.Random(20261121)
    for number in range(4):
        folder = shutil.copytree(flight, tmp_path / f"flight-{number}")
        command = ("run", str(folder), "--scale", "2", "--out", str(tmp_path / f"out-{number}"))
        for _ in range(5):
            with column.running(*command) as process:
                try:
                    process.wait(chance.uniform(0.5, 6))
                except subprocess.TimeoutExpired:
                    kill(process, with_children=chance.random() < 0.5)
        result = column.run_json(*command)
        assert result["status"] == "completed", result
        assert result["summary"]["photos_used"] == 6
    assert asyncio.run(scaled_sizes(column)) == {original_size(flight, 2)}
    assert asyncio.run(left_over(column)) == (0, 0, 0)


async def scaled_sizes(column: Column) -> set[tuple[int, int]]:
    """Return width and height of every image in the manifests of all jobs, all of which are done."""
    sizes = set()
    async with open_platform(column.settings, SUBSCRIPTIONS) as on:
        await on.store.declare(JOBS, PIECES)
        async for job in every(on, JOBS, Job):
            assert job.state is JobState.DONE
            assert job.result is not None
            text = await on.objects.read(on.objects.key(job.result.manifest or ""))
            manifest = Manifest.model_validate(json.loads(text))
            assert len(manifest.images) == 6
            sizes |= {size_of(await on.objects.read(file.key)) for file in manifest.images}
        outcomes = [len(piece.outcomes) async for piece in every(on, PIECES, Piece)]
    assert all(outcomes)
    return sizes


async def left_over(column: Column) -> tuple[int, int, int]:
    """Return how many dead letters, unrouted messages and untold events there are."""
    async with open_platform(column.settings, SUBSCRIPTIONS) as on:
        await on.store.declare(JOBS, PIECES)
        dead = [await on.transport.depth(dead_queue(each.queue)) for each in SUBSCRIPTIONS]
        untold = [len(await on.store.pending(spec.name)) for spec in (JOBS, PIECES)]
        return sum(dead), await on.transport.depth(UNROUTED_QUEUE), sum(untold)


def photos(flight: Path) -> list[Path]:
    return sorted(flight.glob("*.JPG"))


def original_size(flight: Path, factor: float) -> tuple[int, int]:
    width, height = size_of(photos(flight)[0].read_bytes())
    return round(width * factor), round(height * factor)
