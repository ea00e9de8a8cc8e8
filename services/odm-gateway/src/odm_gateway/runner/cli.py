"""The runner as a container's command."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from .memory import CGROUPS
from .run import PROGRESS_PORT, Run
from .workspace import Workspace

COMMAND = ("python3", "/code/run.py")


def main() -> int:
    """Run ODM on a workspace; the exit code is ODM's."""
    ours, command = _parted(sys.argv[1:])
    asked = _parser().parse_args(ours)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    run = Run(
        Workspace(asked.workspace.resolve()),
        command or COMMAND,
        hear=_say,
        port=asked.progress_port,
        grace_s=asked.grace_seconds,
        progress_file=asked.progress_file,
        cgroups=CGROUPS,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: run.stop())
    code = run.run()
    if run.status.message:
        sys.stderr.write(f"{run.status.message}\n")
    return code


def _parted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the arguments before and behind ``--``; argparse has another idea of it in each version."""
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="odm_runner",
        usage="%(prog)s WORKSPACE [options] [-- COMMAND...]",
        description=f"Run OpenDroneMap on a workspace. COMMAND is how ODM is called; {' '.join(COMMAND)}.",
    )
    parser.add_argument("workspace", type=Path, help="folder with job.json and images/")
    parser.add_argument(
        "--progress-file",
        type=Path,
        default=os.environ.get("ARGO_PROGRESS_FILE"),
        help="gets N/100; without it, the one that Argo Workflows names",
    )
    parser.add_argument("--progress-port", type=int, default=PROGRESS_PORT, help="UDP port of ODM's progress")
    parser.add_argument("--grace-seconds", type=float, default=10.0, help="from SIGTERM to SIGKILL")
    return parser
