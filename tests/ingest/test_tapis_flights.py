"""Flights on Tapis that are unlike others: odd names, neighbours of nearly the same name, many pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flightline.tapis_simulator.tapis import FIRST_IMAGE_S
from ingest.domain.transfers import TransferState
from shared.events import Event, FlightFound, ImagesStaged
from tests.ingest.conftest import Ingest
from tests.ingest.test_steering import SYSTEM, ask
from tests.ingest.test_tapis_faults import ingesting, staged_files, there
from tests.support.listening import heard
from tests.support.tapis import TapisServer, tapis_server

NAMES = (
    "a b.jpg",
    "#hash?.jpg",
    "50%25+1.jpg",
    "comma, quote'\".jpg",
    "Überflug-日本.JPG",
    "semi;colon&and=.jpeg",
    "[brackets](round){curly}.jpg",
    "-dash.jpg",
)
MANY = 2345


@pytest.fixture
async def tapis() -> AsyncIterator[TapisServer]:
    async with tapis_server() as server:
        yield server


async def staged(ingest: Ingest, *asks: Event[FlightFound]) -> dict[str, Event[ImagesStaged]]:
    """Have flights staged, together, and return what is told of each."""
    for each in asks:
        await ingest.tell(each)
    while len((await ingest.transfers.find({"state": TransferState.STAGED.value})).items) < len(asks):
        await asyncio.sleep(0.05)
    told = await heard(ingest.platform, ImagesStaged, at_least=len(asks))
    assert len(told) == len(asks)
    return {event.data.flight_id: event for event in told}


def flight(name: str, flight_id: str = "f") -> Any:
    return ask(source=f"tapis://{SYSTEM}/{name}", name=name, flight_id=flight_id)


async def test_files_of_any_name_are_staged_under_it(tapis: TapisServer, tmp_path: Path) -> None:
    system = tapis.flight(SYSTEM, images=1)
    for number, name in enumerate(NAMES):
        system.files.add(f"Flight1/code/images/{name}", 3000, FIRST_IMAGE_S + number)
    async with ingesting(tapis, tmp_path / "home") as ingest:
        events = await staged(ingest, flight("Flight1"))
        files = await staged_files(ingest, events["f"])

    assert {path.rpartition("/")[2] for path in files} == {*NAMES, "DJI_00001.JPG"}
    assert files == await there(tapis)


async def test_a_flight_takes_nothing_from_its_neighbours(tapis: TapisServer, tmp_path: Path) -> None:
    names = {"Flight1": 3, "Flight10": 4, "Flight1, east #2": 2}
    for name, images in names.items():
        tapis.flight(SYSTEM, name, images)
    async with ingesting(tapis, tmp_path / "home") as ingest:
        events = await staged(ingest, *(flight(name, str(images)) for name, images in names.items()))
        counts = {
            name: len(await staged_files(ingest, events[str(images)])) for name, images in names.items()
        }

    assert counts == names
    assert len({event.data.prefix for event in events.values()}) == len(names)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["", "appear", "disappear", "duplicate", "grow"])
async def test_a_flight_of_many_pages_is_staged_whole_though_they_shift(
    tapis: TapisServer, tmp_path: Path, kind: Any
) -> None:
    tapis.flight(SYSTEM, images=MANY)
    if kind:  # between the first and the second page
        tapis.tapis.faults.switch_on(kind, operation="listFiles", path="images$", after=1)
    async with ingesting(tapis, tmp_path / "home") as ingest:
        events = await staged(ingest, flight("Flight1"))
        files = await staged_files(ingest, events["f"])

    assert len(files) == MANY + {"appear": 1, "grow": 1, "disappear": -1}.get(kind, 0)
    assert files == await there(tapis)
