"""All services in one process, over HTTP, until somebody ends them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.columns import Column

PORTS = {f"{name}_PORT": "0" for name in ("DISCOVERY", "INGEST", "SCALER", "MOVER", "DATALAB", "ODM_GATEWAY")}
QUIET = {"FLIGHTLINE_LOG_LEVEL": "error"}
"""Nobody reads the log, and a full pipe would stop its writer."""


@contextmanager
def services(column: Column, **environment: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run ``flightline up``; gives the process and the services' URLs."""
    with column.running("up", **PORTS, **QUIET, **environment) as process:
        assert process.stderr
        urls: dict[str, str] = {}
        while len(urls) < len(PORTS):
            name, colon, url = process.stderr.readline().strip().partition(": http")
            assert process.poll() is None
            if colon:
                urls[name] = f"http{url}"
        yield process, urls


def completed(discovery: str, *, within_s: float = 60) -> dict[str, Any]:
    """Wait for the only flight to end, and return it."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        flights = httpx.get(f"{discovery}/api/flights/").json()["flights"]
        if flights and flights[0]["state"] in ("completed", "failed"):
            return dict(flights[0])
        time.sleep(0.1)
    raise AssertionError(flights)


def test_a_flight_that_appears_below_a_root_is_processed_over_http(
    embedded: Column, flight: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(flight, root / "field-7" / "code" / "images")
    settings = {"DISCOVERY_ROOTS": root.as_uri(), "DISCOVERY_SCAN_EVERY": "1s"}
    with services(embedded, DISCOVERY_SETTLE="200ms", **settings) as (process, urls):
        done = completed(urls["discovery"])
        tasks = httpx.get(f"{urls['odm-gateway']}/task/list").json()
        archive = httpx.get(f"{urls['odm-gateway']}/task/{done['runs'][0]['task_id']}/download/all.zip")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    assert (done["name"], done["state"], len(done["runs"])) == ("field-7", "completed", 1)
    assert (len(tasks), archive.content[:2]) == (1, b"PK")
    assert process.returncode == 0
