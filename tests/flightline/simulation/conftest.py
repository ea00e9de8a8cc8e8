from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from flightline.simulation.truth import Truth

if TYPE_CHECKING:
    from pathlib import Path

PLAN = FlightPlan(photos=4, megapixels=0.3)


@pytest.fixture(scope="session")
def flight_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flight")


@pytest.fixture(scope="session")
def truth(flight_dir: Path) -> Truth:
    return simulate_flight(flight_dir, PLAN)
