"""Small flights, simulated once per session, and columns to run them on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from tests.support.columns import Column, server_backends
from tests.support.rabbitmq import session_rabbitmq
from tests.support.s3 import S3Server
from tests.support.zygote import Zygote

PLAN = FlightPlan(photos=6, megapixels=0.3)


@pytest.fixture(scope="session")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a flight of six good photos; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("flight") / "meadow"
    simulate_flight(folder, PLAN)
    return folder


@pytest.fixture
def embedded(tmp_path: Path) -> Column:
    """Embedded backends in an empty folder."""
    home = tmp_path / "home"
    home.mkdir()
    return Column(home)


@pytest.fixture
def servers(request: pytest.FixtureRequest, mongo_url: str, s3: S3Server, tmp_path: Path) -> Column:
    """RabbitMQ, a MongoDB-compatible server and S3."""
    home = tmp_path / "servers"
    home.mkdir()
    return Column(home, server_backends(session_rabbitmq(request.config), mongo_url, s3))


@pytest.fixture(scope="session")
def parent() -> Iterator[Zygote]:
    """Run the process that scalers and movers are forked from."""
    from tests.support.dav_scenes import parent_of_services  # noqa: PLC0415 - few journeys need codecs

    with parent_of_services() as zygote:
        yield zygote
