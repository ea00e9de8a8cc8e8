"""Killed again and again at moments drawn by chance, a flight still ends as if nothing had happened."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.columns import (
    Column,
    Inventory,
    broken_members,
    files_below,
    inventory,
    kill,
    mapped_share,
    one_flight,
)

KILLS = int(os.environ.get("FLIGHTLINE_TEST_KILLS", "0"))
"""How many, instead of each test's own number."""
DEFAULT_KILLS = 4
PER_FLIGHT = 12
"""A flight under fire gets a pause after so many, so that there are many flights."""
SEED = 20261120
START_S = 2.5
"""About the time that the command takes before it says something."""
WORK_S = 6.0
"""About the time from there to the end."""


class Killer:
    """Ends children at moments that follow from the seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.kills = 0

    def strikes(self, process: subprocess.Popen[str]) -> bool:
        """Wait for a random moment and kill; False: the process had ended by itself."""
        assert process.stderr
        if self._random.random() < 0.75:  # the other moments fall into the start
            process.stderr.readline()
            wait_s = self._random.uniform(0, WORK_S)
        else:
            wait_s = self._random.uniform(0, START_S)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            kill(process, with_children=self._random.random() < 0.5)
            self.kills += 1
            return True
        return False


def test_a_flight_killed_at_random_moments_loses_nothing(embedded: Column, flight: Path) -> None:
    killer = Killer(SEED)
    flights = fly_under_fire(embedded, flight, killer, kills=KILLS or DEFAULT_KILLS)

    assert killer.kills >= (KILLS or DEFAULT_KILLS)
    assert asyncio.run(inventory(embedded)) == left_by(flights, photo_names(flight))


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backends", ["embedded", "servers"])
def test_flights_killed_two_hundred_times_lose_nothing(
    request: pytest.FixtureRequest, backends: str, flight: Path
) -> None:
    column: Column = request.getfixturevalue(backends)
    killer = Killer(SEED + len(backends))
    flights = fly_under_fire(column, flight, killer, kills=KILLS or 200)

    assert killer.kills >= (KILLS or 200)
    assert asyncio.run(inventory(column)) == left_by(flights, photo_names(flight))


def fly_under_fire(column: Column, flight: Path, killer: Killer, *, kills: int) -> int:
    """Run flights, each until it ends by itself, until there were enough kills; return how many flights."""
    for number in count(1):
        folder = shutil.copytree(flight, column.home.parent / f"flight-{number}")
        out = column.home.parent / f"out-{number}"
        command = ("run", str(folder), "--out", str(out))
        enough = min(kills, killer.kills + PER_FLIGHT)
        while killer.kills < enough and strike(column, command, killer):
            pass
        result = column.run_json(*command)
        check_products(column, out, result)
        print(f"{killer.kills} kills, {number} flights")  # noqa: T201 - shown by -s, where this takes an hour
        if killer.kills >= kills:
            return number
    raise AssertionError


def strike(column: Column, command: Sequence[str], killer: Killer) -> bool:
    """Run the command under the killer's eyes; return whether it had to be killed."""
    with column.running(*command) as process:
        return killer.strikes(process)


def check_products(column: Column, out: Path, result: dict[str, Any]) -> None:
    """Check that a run ended well, that its products are whole and that no other file is left with them."""
    assert result["status"] == "completed", result
    assert files_below(out) == result["products"]
    assert mapped_share(out) > 0.1
    assert result["summary"]["photos_used"] == result["images"]
    assert asyncio.run(broken_members(column, result["task_id"])) is None


def photo_names(flight: Path) -> list[str]:
    """Return the names of the flight's photos."""
    return [path.name for path in flight.glob("*.JPG")]


def left_by(flights: int, names: list[str]) -> Inventory:
    """Return what flights leave behind if nothing was lost and nothing done twice."""
    one = one_flight(*names)
    return Inventory(
        one.flights * flights,
        one.transfers * flights,
        one.tasks * flights,
        listed=tuple(sorted(names * flights)),
        journalled=tuple(sorted(names * flights)),
    )
