"""``python -m odm_gateway.steps fetch|publish|ship --manifest URI --workspace FOLDER``.

Exit codes: 0 done; 2 cannot be done, trying again is of no use; 75 did not work now; anything else is a bug.
The object store is that of ``FLIGHTLINE_OBJECTS``.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

SHIP = "ship"
STEPS = {
    "fetch": "bring the job and its images into the workspace",
    "publish": "store what was made",
    SHIP: "send console and progress to the object store while the runner works",
}


def main() -> int:
    """Do one step."""
    asked = parser().parse_args()
    asked.workspace = asked.workspace.resolve()
    stops: list[int] = []
    if asked.step == SHIP:  # importing takes a second, in which the pod of a short job may be at its end
        signal.signal(signal.SIGTERM, lambda number, _frame: stops.append(number))
    from odm_gateway.steps.doing import do  # noqa: PLC0415 - explained above

    return do(asked, stops)


def parser() -> argparse.ArgumentParser:
    """Return what the command line is to be."""
    steps = argparse.ArgumentParser(
        prog="python -m odm_gateway.steps",
        description="One step of a job: "
        + "; ".join(f"{name}: {does}" for name, does in STEPS.items())
        + ".",
    )
    steps.add_argument("step", choices=list(STEPS))
    steps.add_argument("--manifest", required=True, help="URI or key of the job's job.json")
    steps.add_argument("--workspace", required=True, type=Path, help="folder that the steps share")
    steps.add_argument("--every", type=float, default=5.0, help="seconds between two looks of ship")
    steps.add_argument(
        "--linger", type=float, default=13.0, help="seconds that ship waits for the runner after SIGTERM"
    )
    steps.add_argument(
        "--termination-log",
        type=Path,
        default=Path("/dev/termination-log"),
        help="gets the reason of a failure",
    )
    return steps


if __name__ == "__main__":
    sys.exit(main())
