"""Small flights, simulated once per session, and columns to run them on."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from tests.support.columns import Column

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
