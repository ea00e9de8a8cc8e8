"""Hundreds of flights through a real broker and all services, which are killed again and again meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.scale.effects import shown
from bench.scale.flight_set import Plan
from bench.scale.flights import Run, run
from bench.scale.killing import Killer


def check(flown: Run, flights: int) -> None:
    assert (flown.verdict.flights, flown.verdict.completed) == (flights, flights)
    assert not flown.verdict.lost, shown(flown.verdict.lost)
    assert not flown.verdict.doubled, shown(flown.verdict.doubled)
    assert not flown.differences, shown(flown.differences)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_three_hundred_flights_under_twelve_kills_end_once_each(tmp_path: Path) -> None:
    killer = Killer(broker_kills=4, service_kills=8, every_s=1.0)
    flown = run(Plan(300), killer, folder=tmp_path)

    check(flown, 300)
    assert killer.harm.count == 12
    assert not killer.harm.not_recovered
