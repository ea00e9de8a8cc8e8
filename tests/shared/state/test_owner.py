from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from shared.state import Collection, CollectionSpec
from shared.state.open import open_store
from shared.state.owner import is_gone, process_owner, release_gone

NAME_OF_ANOTHER = "from shared.state.owner import process_owner; print(process_owner())"
SPEC = CollectionSpec("kites")
HOUR = timedelta(hours=1)


class Kite(BaseModel):
    wings: int = 2


def owner_that_died() -> str:
    """Return the name of a process that has ended."""
    return subprocess.run(
        [sys.executable, "-c", NAME_OF_ANOTHER], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_process_that_runs_is_not_gone() -> None:
    assert not is_gone(process_owner())


def test_a_process_that_ended_is_gone() -> None:
    assert is_gone(owner_that_died())


def test_a_later_process_of_the_same_number_is_another() -> None:
    name, _, started = process_owner().rpartition("/")

    assert is_gone(f"{name}/{started}0")


def test_nothing_is_known_of_processes_elsewhere() -> None:
    host, _, rest = owner_that_died().partition("/")

    assert not is_gone(f"{host}-2/{rest}")
    assert not is_gone(f"{host}/pid:[1]:1/x")
    assert not is_gone("somebody")


async def test_only_leases_of_the_dead_are_given_back(tmp_path: Path) -> None:
    async with open_store(f"sqlite://{tmp_path}/state.db") as store:
        await store.declare(SPEC)
        kites = Collection(store, SPEC, Kite)
        for number, owner in enumerate([owner_that_died(), process_owner(), f"elsewhere/{os.getpid()}/1"]):
            await kites.insert(f"k{number}", Kite())
            await kites.claim({}, owner=owner, hold=HOUR)
        released = await release_gone(kites, {})
        free = await kites.claim({}, owner="me", hold=HOUR)

    assert released == 1
    assert free is not None
    assert free.id == "k0"
