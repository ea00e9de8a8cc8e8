from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from odm_gateway.orthophoto.models import CanceledError
from odm_gateway.orthophoto.worker import Events, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Event = dict[str, Any]
OPTIONS: list[Event] = [{"name": "orthophoto-resolution", "value": 16}, {"name": "tiles", "value": True}]
SLOW: list[Event] = [
    *OPTIONS,
    {"name": "feature-quality", "value": "ultra"},
    {"name": "max-concurrency", "value": 1},
]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "odm_gateway.orthophoto", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def worker(
    images: Path, project: Path, options: list[Event]
) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start a worker as its parent does; it does not outlive the block."""
    return started(str(images), str(project), "--options", json.dumps(options))


@contextmanager
def awaited_worker(images: Path, project: Path, options: list[Event]) -> Iterator[subprocess.Popen[str]]:
    """Start a worker that learns its job later, and give it one."""
    job = {"images": str(images), "project": str(project), "options": options, "log": str(project / "log")}
    with started("--wait") as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        yield process


def told(process: subprocess.Popen[str]) -> list[Event]:
    """Return all events; the process has ended then."""
    assert process.stdout is not None
    events = [json.loads(line) for line in process.stdout]
    process.wait(timeout=20)
    return events


def wait_for(process: subprocess.Popen[str], stage: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("stage") == stage:
            return
    raise AssertionError(f"the worker ended before {stage}")


def work_files(project: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (project / "work").rglob("*.npz")}


def test_given_a_flight_when_worked_on_then_progress_ends_with_done(
    small_flight: Path, tmp_path: Path
) -> None:
    with worker(small_flight, tmp_path, OPTIONS) as process:
        events = told(process)

    percents = [event["percent"] for event in events if event["type"] == "progress"]
    assert (process.returncode, events[-1]["type"]) == (ExitCode.DONE, "done")
    assert percents == sorted(percents)
    assert all((tmp_path / asset).is_file() for asset in events[-1]["assets"])
    assert {"type": "line", "text": "Option tiles is not done by this engine and is ignored."} in events


def test_given_a_worker_when_its_stdin_ends_then_it_stops(small_flight: Path, tmp_path: Path) -> None:
    with worker(small_flight, tmp_path, SLOW) as process:
        wait_for(process, "features")
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=20)

    assert process.returncode == ExitCode.CANCELED
    assert json.loads((tmp_path / "log.json").read_text())["error"] == "canceled"


def test_given_a_waiting_worker_when_given_a_job_then_it_does_it(small_flight: Path, tmp_path: Path) -> None:
    with awaited_worker(small_flight, tmp_path, OPTIONS) as process:
        events = told(process)

    assert (process.returncode, events[-1]["type"]) == (ExitCode.DONE, "done")
    assert (tmp_path / "odm_orthophoto/odm_orthophoto.tif").is_file()
    assert (tmp_path / "log").is_file()


def test_given_a_job_by_stdin_when_stdin_ends_then_the_worker_stops(
    small_flight: Path, tmp_path: Path
) -> None:
    with awaited_worker(small_flight, tmp_path, SLOW) as process:
        wait_for(process, "features")
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=20)

    assert process.returncode == ExitCode.CANCELED


@pytest.mark.parametrize("said", ["", '{"images": "cut in the mid'])
def test_given_a_waiting_worker_when_its_parent_goes_then_it_ends_silently(said: str) -> None:
    with started("--wait") as process:
        output, errors = process.communicate(said, timeout=20)

    assert (process.returncode, output, errors) == (0, "", "")


def test_given_a_worker_when_terminated_then_it_stops_as_canceled(small_flight: Path, tmp_path: Path) -> None:
    with worker(small_flight, tmp_path, SLOW) as process:
        wait_for(process, "features")
        process.send_signal(signal.SIGTERM)

        events = told(process)

    assert process.returncode == ExitCode.CANCELED
    assert all(event["type"] in {"progress", "line"} for event in events)


def test_given_a_killed_worker_when_started_again_then_it_goes_on(small_flight: Path, tmp_path: Path) -> None:
    with worker(small_flight, tmp_path, OPTIONS) as process:
        wait_for(process, "matching")
        process.kill()
    kept = work_files(tmp_path)

    with worker(small_flight, tmp_path, OPTIONS) as process:
        events = told(process)

    assert len(kept) >= 6
    assert {path: work_files(tmp_path)[path] for path in kept} == kept
    assert events[-1]["summary"]["photos_used"] == 6


def test_given_a_project_in_work_when_a_second_worker_starts_then_it_is_refused(
    small_flight: Path, tmp_path: Path
) -> None:
    with (tmp_path / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with worker(small_flight, tmp_path, OPTIONS) as process:
            events = told(process)

    assert process.returncode == ExitCode.REFUSED
    assert [event["code"] for event in events] == ["BUSY"]


def test_given_no_photos_when_worked_on_then_the_refusal_has_a_code(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()

    with worker(tmp_path / "images", tmp_path / "project", OPTIONS) as process:
        events = told(process)

    assert process.returncode == ExitCode.REFUSED
    assert (events[-1]["type"], events[-1]["code"]) == ("failed", "TOO_FEW_IMAGES")


def test_given_options_in_a_wrong_form_then_the_trace_stays_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()

    with worker(tmp_path, tmp_path / "project", [{"nome": "tiles"}]) as process:
        events = told(process)
        assert process.stderr is not None
        assert process.stderr.read() == ""

    assert (process.returncode, events[-1]["code"]) == (ExitCode.BUG, "BUG")
    assert "Traceback" in (tmp_path / "project/engine.log").read_text()


def test_given_a_parent_that_reads_no_more_when_told_then_the_run_is_canceled(tmp_path: Path) -> None:
    with (tmp_path / "closed").open("w") as stream:
        events = Events(stream, threading.Event())

    with pytest.raises(CanceledError):
        events("scan", 1.0)


def test_given_much_progress_when_told_then_it_is_thinned_out(tmp_path: Path) -> None:
    began = time.monotonic()
    with (tmp_path / "events").open("w") as stream:
        events = Events(stream, threading.Event())
        for step in range(1000):
            events("features", step / 10)
        events("matching", 100.0)

    lines = (tmp_path / "events").read_text().splitlines()
    assert len(lines) <= 3 + 5 * (time.monotonic() - began)
    assert json.loads(lines[-1])["stage"] == "matching"
