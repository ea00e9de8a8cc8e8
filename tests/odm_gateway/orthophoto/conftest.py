"""Flights that several test modules look at; none of them changes the photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def small_flight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with six photos of 0.3 megapixels and their truth."""
    folder = tmp_path_factory.mktemp("small-flight")
    simulate_flight(folder, FlightPlan(photos=6, megapixels=0.3))
    return folder
