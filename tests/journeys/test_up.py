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
from tests.support.metric_labels import names_in, strange_labels

PORTS = {f"{name}_PORT": "0" for name in ("DISCOVERY", "INGEST", "SCALER", "MOVER", "DATALAB", "ODM_GATEWAY")}
QUIET = {"FLIGHTLINE_LOG_LEVEL": "error"}
"""Nobody reads the log, and a full pipe would stop its writer."""


STRANGE = "8e1d3c0a-strange"
TOLD = {
    "flightline_build_info", "flightline_http_request_seconds", "flightline_events_handled",
    "flightline_event_age_seconds", "flightline_handler_seconds", "flightline_events_published",
    "flightline_outbox_documents", "flightline_outbox_oldest_age_seconds", "flightline_queue_messages",
    "flightline_dead_letters", "flightline_ingest_files", "flightline_ingest_bytes",
    "flightline_ingest_transfers", "flightline_odm_tasks_ended", "flightline_odm_task_seconds",
    "flightline_odm_tasks", "flightline_discovery_flights", "flightline_datalab_waiting_computations",
}  # fmt: skip
"""What a process tells of that has brought a flight to its end."""


def ask_strange_things(urls: dict[str, str], flight_id: str) -> None:
    """Ask every service for what is and is not there, with ids, paths and methods of a client's choice."""
    for url in urls.values():
        for path in (
            f"/{STRANGE}",
            f"/api/flights/{flight_id}",
            f"/task/{STRANGE}/info",
            f"/{flight_id}/{STRANGE}",
        ):
            httpx.get(f"{url}{path}", params={"q": STRANGE})
        httpx.request("REPORT", f"{url}/{STRANGE}")
        httpx.request("PURGE", f"{url}/api/flights/")


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
        ask_strange_things(urls, done["flight_id"])
        exposed = httpx.get(f"{urls['ingest']}/metrics").text
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    assert (done["name"], done["state"], len(done["runs"])) == ("field-7", "completed", 1)
    assert (len(tasks), archive.content[:2]) == (1, b"PK")
    assert strange_labels(exposed) == set()
    assert names_in(exposed) >= TOLD
    assert STRANGE not in exposed
    assert process.returncode == 0
