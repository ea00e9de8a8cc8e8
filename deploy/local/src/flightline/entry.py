"""Where the ``flightline`` command begins."""

from __future__ import annotations

import gc
import sys

from odm_gateway.adapters.worker_start import start_waiting


def main() -> None:
    """Run the command; before it is imported, ``run`` gets a worker, which imports the engine meanwhile."""
    worker = start_waiting() if sys.argv[1:2] == ["run"] and "--help" not in sys.argv else None
    try:
        from flightline.main import app  # noqa: PLC0415 - takes half a second

        app(obj=worker)
    finally:
        if worker:
            worker.kill()
            worker.wait()
        gc.freeze()  # else the interpreter looks for garbage in all that was imported, a fifth of a second
