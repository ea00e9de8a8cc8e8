"""What compose.yaml says, with its servers elsewhere, makes an orthophoto of a flight."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from flightline.chart.services import WORKLOADS
from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from tests.deploy.images.compose import SECRETS, services
from tests.support.mongo import new_database
from tests.support.processes import free_port
from tests.support.rabbitmq import session_rabbitmq
from tests.support.s3 import S3Server
from tests.support.until import wait_until

OURS = [name for name in services() if name in WORKLOADS]
PLAN = FlightPlan(photos=6, megapixels=0.3)
READY_WITHIN_S, DONE_WITHIN_S, ENDS_WITHIN_S = 120, 300, 60
WRITING = {"Authorization": f"Bearer {SECRETS['FLIGHTLINE_TOKEN']}"}


@pytest.fixture
def places(request: pytest.FixtureRequest, mongo_url: str, s3: S3Server, tmp_path: Path) -> dict[str, str]:
    """Where that is which compose.yaml names."""
    s3.make_bucket("flightline")
    simulate_flight(tmp_path / "flights" / "flight", PLAN)
    ports = {told: str(free_port()) for told in map(port_of, OURS)}
    return {
        "amqp://flightline:rabbit@rabbitmq/": session_rabbitmq(request.config).url,
        "mongodb://flightline:mongo@mongodb/flightline?authSource=admin": new_database(mongo_url),
        "http://s3:7070": s3.endpoint_url,
        "http://discovery:8001": f"http://127.0.0.1:{ports['8001']}",
        "/flights": str(tmp_path / "flights"),
        "0.0.0.0": "127.0.0.1",
        **ports,
    }


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_flight_becomes_an_orthophoto(places: Mapping[str, str], tmp_path: Path) -> None:
    urls = {name: f"http://127.0.0.1:{places[port_of(name)]}" for name in OURS}
    with ExitStack() as stack:
        running = {name: stack.enter_context(service(name, places, tmp_path)) for name in OURS}
        for url in urls.values():
            wait_until(partial(answers, f"{url}/readyz"), READY_WITHIN_S)
        discovery = f"{urls['discovery']}/api"
        asked = {"source": f"file://{places['/flights']}/flight"}

        found = httpx.post(f"{discovery}/discover", json=asked, headers=WRITING, timeout=60)
        flight = f"{discovery}/flights/{found.raise_for_status().json()['flights'][0]['flight_id']}"
        wait_until(lambda: state_of(flight) in {"completed", "failed", "canceled"}, DONE_WITHIN_S)

        assert state_of(flight) == "completed"
        assert {name: ended(process) for name, process in running.items()} == dict.fromkeys(OURS, 0)


@pytest.mark.long
def test_writing_without_the_token_is_refused(places: Mapping[str, str], tmp_path: Path) -> None:
    port = places["8001"]
    with service("discovery", places, tmp_path):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), READY_WITHIN_S)

        refused = httpx.post(
            f"http://127.0.0.1:{port}/api/discover", json={"source": "file:///x"}, timeout=60
        )

    assert refused.status_code == 401


@contextmanager
def service(name: str, places: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service with the environment of its container, and no other."""
    its_own = {**places, "/data": str(folder / "data" / name)}
    told = services()[name]["environment"]
    environment = {key: its_own.get(str(value), str(value)) for key, value in told.items()}
    program = Path(sys.executable).with_name(name)
    with (folder / f"{name}.log").open("wb") as output:
        process = subprocess.Popen(
            [str(program)],
            env={**environment, "PATH": f"{program.parent}:/usr/bin:/bin"},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def port_of(name: str) -> str:
    port: str = services()[name]["ports"][0].split(":")[-1]
    return port


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def state_of(flight: str) -> str:
    state: str = httpx.get(flight, headers=WRITING, timeout=60).raise_for_status().json()["state"]
    return state


def ended(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(ENDS_WITHIN_S)
