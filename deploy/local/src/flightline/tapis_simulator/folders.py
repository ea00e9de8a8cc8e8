"""Systems from a folder of the disk: each folder in it is one, and two are made for whoever has none."""

from __future__ import annotations

import shutil
from pathlib import Path

from flightline.simulation.plan import FlightPlan
from flightline.tapis_simulator.files import FileTree
from flightline.tapis_simulator.tapis import Tapis

DEMO_SYSTEMS = ("ptdatax.project.demo-1", "ptdatax.project.demo-2")
DEMO_FLIGHT = "Flight001"
IMAGES = "code/images"
_LONGEST_ID = 80
_MAKING = ".making"
_TRUTH = "truth"


def make_demo(folder: Path, plan: FlightPlan) -> None:
    """Lay two systems out in ``folder``, the first with a made-up flight."""
    from flightline.simulation.flight import simulate_flight  # noqa: PLC0415 - takes seconds, seldom needed

    making = folder / _MAKING
    shutil.rmtree(making, ignore_errors=True)
    flight = making / DEMO_FLIGHT
    simulate_flight(flight / IMAGES, plan)
    (flight / IMAGES / _TRUTH).rename(flight / _TRUTH)
    making.rename(folder / DEMO_SYSTEMS[0])
    (folder / DEMO_SYSTEMS[1]).mkdir()


def is_empty(folder: Path) -> bool:
    """Return whether there is nothing in ``folder`` but what an earlier attempt left half-made."""
    return all(one.name == _MAKING for one in folder.iterdir())


def add_systems(tapis: Tapis, folder: Path, owner: str) -> list[str]:
    """Make a system of each folder in ``folder`` and return their ids.

    Raises:
        ValueError: A folder's name is no id of a system.
    """
    names = sorted(one.name for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    for name in names:
        if len(name) > _LONGEST_ID:
            raise ValueError(f"the id of a system has at most {_LONGEST_ID} characters: {name}")
        tapis.add_system(name, owner, files=FileTree(folder / name, seed=name))
    return names
