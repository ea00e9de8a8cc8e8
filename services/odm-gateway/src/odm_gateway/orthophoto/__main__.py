"""``python -m odm_gateway.orthophoto IMAGES_DIR PROJECT_DIR --options JSON``: see `worker`.

With ``--wait`` alone, the parent names the job later, by a line of JSON on stdin.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

# Read by numpy when it is imported. The engine has threads of its own; more of them only fight for the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from .worker import awaited_work, work


def main() -> int:
    """Run one worker; the process's exit code is the worker's."""
    if sys.argv[1:] == ["--wait"]:
        return awaited_work()
    parser = argparse.ArgumentParser(prog="python -m odm_gateway.orthophoto")
    parser.add_argument("image_dir", type=Path)
    parser.add_argument("project_dir", type=Path)
    parser.add_argument("--options", type=json.loads, default=[], help='[{"name": ..., "value": ...}, ...]')
    arguments = parser.parse_args()
    return work(arguments.image_dir, arguments.project_dir, arguments.options)


if __name__ == "__main__":
    sys.exit(main())
