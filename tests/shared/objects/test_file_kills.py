"""Processes that put objects into a folder, and are killed."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.objects.file import FileObjects

ROOT = Path(__file__).parents[3]


def put_and_kill(root: Path, name: str, seconds: float) -> list[str]:
    """Return the keys whose storing one process told before it was killed."""
    command = [sys.executable, "-m", "tests.support.objects_child", str(root), name]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout:
        told = [child.stdout.readline()]
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        told += child.stdout
    child.wait()
    return [line.strip() for line in told if line.endswith("\n")]


async def check(root: Path, times: int) -> int:
    """Kill processes and return how many puts were acknowledged; all their objects must be whole."""
    chance = random.Random(times)
    told = [key for n in range(times) for key in put_and_kill(root, str(n), chance.uniform(0, 0.3))]
    objects = FileObjects(root)
    for key in told:
        stat = await objects.stat(key)
        assert stat is not None
        assert hashlib.sha256(await objects.read(key)).hexdigest() == stat.sha256 == stat.metadata["sum"]
    return len(told)


async def test_a_killed_process_loses_no_acknowledged_object(tmp_path: Path) -> None:
    assert await check(tmp_path / "objects", 8) > 40


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_hundred_killed_processes_lose_no_acknowledged_object(tmp_path: Path) -> None:
    assert await check(tmp_path / "objects", 100) > 1000
