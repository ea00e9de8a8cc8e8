"""Runs an operation in a process of its own, as a worker does, and prints what it took, as JSON.

    python -m tests.datalab.operations.child FILES RESULTS OPERATION [ROUNDS] < INPUTS.json

Figures are the most memory that the process had after its first round, and the least processor time of the
rounds behind that, if there are any.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datalab.operations.registry import registry
from tests.datalab.operations.working import FolderWork


def took(
    files: Path, results: Path, name: str, asked: Mapping[str, Any], rounds: int = 0
) -> dict[str, float]:
    """Run an operation in another process; return ``peak_mb``, and ``cpu_s`` of the best of some rounds."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(files), str(results), name, str(rounds)],
        check=True,
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _taken(files: Path, results: Path, name: str, asked: Any, rounds: int) -> dict[str, float]:
    operation = registry()[name]
    inputs, work = operation.inputs.model_validate(asked), FolderWork(files, results)
    operation.compute(inputs, work)
    found = {"peak_mb": _peak_mb()}
    times_s = []
    for _ in range(rounds):
        began_s = time.process_time()
        operation.compute(inputs, work)
        times_s.append(time.process_time() - began_s)
    return found | ({"cpu_s": min(times_s)} if times_s else {})


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    of, into, what, rounds_asked = sys.argv[1:]
    figures = _taken(Path(of), Path(into), what, json.load(sys.stdin), int(rounds_asked))
    sys.stdout.write(f"{json.dumps(figures)}\n")
