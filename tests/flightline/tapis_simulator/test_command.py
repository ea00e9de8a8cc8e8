"""``flightline simulate tapis``, as a user types it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flightline.simulate import app
from flightline.simulation.plan import FlightPlan
from flightline.tapis_simulator import Tapis
from flightline.tapis_simulator.folders import add_systems, is_empty, make_demo
from tests.support.tapis import tapis_client

ENDS_WITHIN_S = 60


def command(*arguments: object) -> list[str]:
    program = str(Path(sys.executable).with_name("flightline"))
    return [program, "simulate", "tapis", *map(str, arguments)]


@contextmanager
def running(*arguments: object) -> Iterator[dict[str, Any]]:
    """Run the command until the block ends, by Ctrl-C, and return what it tells."""
    process = subprocess.Popen(command(*arguments, "--port", 0, "--json"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(ENDS_WITHIN_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def filled(place: Path) -> Path:
    """Put a system with a flight of one photo into a folder."""
    images = place / "ptdatax.project.A" / "Flight 1" / "code" / "images"
    images.mkdir(parents=True)
    (images / "1.jpg").write_bytes(b"one")
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Run the command over a folder with one small flight."""
    place = tmp_path_factory.mktemp("systems")
    with running(filled(place), "--latency", "1ms", "--max-sessions", 4) as facts:
        yield facts


def test_each_folder_is_a_system_that_tapipy_reads(told: dict[str, Any]) -> None:
    logging_in = ("username", "password", "client_id", "client_key")
    client = tapis_client(told["url"], **{name: told[name] for name in logging_in})
    client.get_tokens()
    found = [system.id for system in client.systems.getSystems(search="id.like.ptdatax.project.*")]
    data = client.files.getContents(systemId=found[0], path="Flight%201/code/images/1.jpg")
    client.requests_session.close()

    assert found == told["systems"] == ["ptdatax.project.A"]
    assert data == b"one"


def test_it_tells_what_to_paste(told: dict[str, Any]) -> None:
    assert told["environment"] == {
        "FLIGHTLINE_TAPIS_URL": told["url"],
        "FLIGHTLINE_TAPIS_TENANT": "portals",
        "FLIGHTLINE_TAPIS_CLIENT_ID": told["client_id"],
        "FLIGHTLINE_TAPIS_CLIENT_KEY": told["client_key"],
    }
    assert told["url"].startswith("http://127.0.0.1:")


def test_the_demo_is_two_systems_and_a_flight(tmp_path: Path) -> None:
    (tmp_path / ".making" / "half").mkdir(parents=True)  # an earlier attempt that was interrupted
    was_empty = is_empty(tmp_path)
    make_demo(tmp_path, FlightPlan(photos=1, megapixels=0.05))
    systems = add_systems(Tapis(), tmp_path, "demo")

    assert (was_empty, is_empty(tmp_path)) == (True, False)
    assert systems == ["ptdatax.project.demo-1", "ptdatax.project.demo-2"]
    assert [path.name for path in tmp_path.glob("*/Flight001/code/images/*")] == ["DJI_0001.JPG"]
    assert [path.name for path in tmp_path.glob("*/Flight001/truth/*.json")] == ["truth.json"]


@pytest.mark.parametrize("wrong", [["--token-ttl", "soon"], ["--latency", "-1s"]])
def test_a_duration_that_is_none_is_refused(folder: Path, wrong: list[str]) -> None:
    ended = CliRunner().invoke(app, ["tapis", str(folder), *wrong])

    assert ended.exit_code == 2
    assert "expected a duration" in ended.stderr


def test_a_port_that_is_taken_is_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = CliRunner().invoke(app, ["tapis", str(folder), "--port", port])

    assert ended.exit_code == 2
    assert "address already in use" in ended.stderr
