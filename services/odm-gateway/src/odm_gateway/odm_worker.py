"""``python -m odm_gateway.odm_worker --command TEXT IMAGES PROJECT``: a worker process around a real ODM.

It speaks the protocol of the built-in engine's workers: JSON lines on stdout, canceled at the end of stdin.
The job lies in ``job.json`` beside ``PROJECT``.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from odm_gateway.domain.exit_codes import exit_text
from odm_gateway.domain.job_manifest import JobManifest
from odm_gateway.domain.outputs import missing_products, single_assets
from odm_gateway.runner.run import Run
from odm_gateway.runner.status import Status
from odm_gateway.runner.workspace import PROJECT, Workspace
from shared.file_lock import lock_now

DONE, REFUSED, CANCELED = 0, 1, 3
GRACE_S = 6.0
"""The gateway kills a worker that takes ten seconds to stop, and its worker shall have killed ODM by then."""


def local_command(command: str) -> tuple[str, ...]:
    """Return how a worker around ``command`` is started."""
    return (sys.executable, "-m", "odm_gateway.odm_worker", "--command", command)


def main() -> int:
    """Run one job; the exit codes are those of the built-in engine's workers."""
    parser = argparse.ArgumentParser(prog="python -m odm_gateway.odm_worker")
    parser.add_argument("--command", required=True, type=shlex.split, help="how ODM is called")
    parser.add_argument("images", type=Path)
    parser.add_argument("project", type=Path)
    parser.add_argument("--options", help="those of job.json; every worker is given them")
    asked = parser.parse_args()
    workspace = Workspace(asked.project.resolve().parent)
    if (asked.images.resolve(), asked.project.name) != (workspace.images, PROJECT):
        parser.error(f"expected FOLDER/{workspace.images.name} and FOLDER/{PROJECT}")
    try:
        return _work(workspace, asked.command)
    except BrokenPipeError:  # nobody listens any more
        return CANCELED


def _work(workspace: Workspace, command: list[str]) -> int:
    with _only_worker(workspace) as is_alone:
        if not is_alone:
            _send(type="failed", code="BUSY", message="Another worker is at work on this task.")
            return REFUSED
        run = Run(workspace, command, hear=_hear, tell=_tell, grace_s=GRACE_S)
        _stop_with_parent(run)
        code = run.run()
        if not run.status.finished and not run.status.is_done:
            return CANCELED
        return _end(workspace, code, run.status)


def _end(workspace: Workspace, code: int, status: Status) -> int:
    """Say how the job ended."""
    if code:
        _send(type="failed", code="ODM", message=status.message or exit_text(code))
        return REFUSED
    job = JobManifest.model_validate(workspace.job())
    assets = json.loads(workspace.assets.read_bytes())
    if missing := missing_products(assets, job.options, job.outputs):
        _send(type="failed", code="INCOMPLETE", message=missing)
        return REFUSED
    summary = {"peak_memory_bytes": status.peak_memory_bytes}
    _send(type="done", assets=single_assets(assets), summary=summary)
    return DONE


def _hear(line: str) -> None:
    _send(type="line", text=line)


def _tell(status: Status) -> None:
    _send(type="progress", stage=status.stage, percent=status.percent)


def _send(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


@contextmanager
def _only_worker(workspace: Workspace) -> Iterator[bool]:
    """Hold the project's lock, if it is free; the kernel lets go of it however the process ends."""
    workspace.project.mkdir(parents=True, exist_ok=True)
    lock = lock_now(workspace.project / ".lock")
    if lock is None:
        yield False
        return
    with lock:
        yield True


def _stop_with_parent(run: Run) -> None:
    """Stop on SIGTERM and when stdin ends, which it does when the parent dies."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        run.stop()

    signal.signal(signal.SIGTERM, lambda _number, _frame: run.stop())
    threading.Thread(target=watch, name="stdin", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
