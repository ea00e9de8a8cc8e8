"""How a worker process is started; imports next to nothing, so that it can come before everything else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import IO

COMMAND = (sys.executable, "-m", "odm_gateway.orthophoto")
WAIT = "--wait"
"""Has a worker import its engine and wait for the job, which comes as a line on its standard input."""


def start_process(command: Sequence[str], stderr: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Run ``command`` in a process group of its own; the caller has to end it.

    The worker ends itself at the end of its standard input, which even kill -9 of this process brings.
    """
    return subprocess.Popen(  # noqa: S603 - the command is ours
        command,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
    )


def start_waiting(command: Sequence[str] = COMMAND) -> subprocess.Popen[bytes]:
    """Run ``command`` ahead of its job."""
    return start_process((*command, WAIT), subprocess.DEVNULL)
