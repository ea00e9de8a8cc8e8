"""A stand-in for ODM that obeys two options; ``tests.support.scripted_odm`` does all the rest.

``--min-num-features N`` is its exit code, and ``--mesh-size`` slows it down.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "support/scripted_odm.py"
EXIT_CODE, SLOWNESS = "--min-num-features", "--mesh-size"


def asked(arguments: list[str]) -> str:
    """Return what the stand-in is to do."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == EXIT_CODE:
            return f"exit:{value if equals else arguments[place + 1]}"
        if name == SLOWNESS:
            return "slow"
    return "finish"


if __name__ == "__main__":
    sys.argv = [str(SCRIPT), asked(sys.argv[1:]), *sys.argv[1:]]
    runpy.run_path(str(SCRIPT), run_name="__main__")
