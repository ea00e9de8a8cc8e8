"""Small flights, simulated once per session, and columns to run them on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from tests.support.columns import Column
from tests.support.mongo import new_database
from tests.support.rabbitmq import session_rabbitmq
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
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
    broker = session_rabbitmq(request.config)
    vhost = f"journey-{uuid4().hex[:8]}"
    broker.add_vhost(vhost)
    home = tmp_path / "servers"
    home.mkdir()
    backends = {
        "bus": f"{broker.url}{vhost}",
        "state": new_database(mongo_url),
        "objects": f"s3://{s3.new_bucket()}/flightline",
        "s3_endpoint": s3.endpoint_url,
        "s3_region": REGION,
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY.get_secret_value(),
    }
    return Column(home, backends)


@pytest.fixture(scope="session")
def parent() -> Iterator[Zygote]:
    """Run the process that scalers and movers are forked from."""
    from tests.support.dav_scenes import parent_of_services  # noqa: PLC0415 - few journeys need codecs

    with parent_of_services() as zygote:
        yield zygote
