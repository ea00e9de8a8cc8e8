"""A system that does not answer takes nobody's turn, and is not waited for by those who asked for others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from discovery.system_looks import SystemLooks
from discovery.tapis_flights import SILENT
from shared.errors import TransientError
from tests.discovery.tapis import SYSTEM, World, world

DEAD = "ptdatax.project.dead"


@dataclass
class Systems:
    """Systems that answer when they are told to."""

    let_go: dict[str, asyncio.Event] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    answers: dict[str, float] = field(default_factory=dict)

    async def look(self, system: str) -> str:
        self.begun.append(system)
        try:
            if system in self.let_go:
                await self.let_go[system].wait()
            return system.upper()
        finally:
            self.ended.append(system)

    async def until(self, **wanted: list[str]) -> None:
        async with asyncio.timeout(20):
            while any(getattr(self, name) != value for name, value in wanted.items()):
                await asyncio.sleep(0.02)

    def answered_s(self, system: str) -> float:
        return self.answers.get(system, float("-inf"))

    def looks(self, at_once: int = 1, quiet_s: float = 0.1, give_up_s: float = 60.0) -> SystemLooks[str]:
        return SystemLooks(self.look, self.answered_s, at_once, quiet_s, give_up_s)


async def seen(looks: SystemLooks[str], *systems: str) -> dict[str, str | None]:
    async with asyncio.timeout(20), aclosing(looks.at(systems)) as found:
        return {system: what async for system, what in found}


async def test_each_is_looked_at_once() -> None:
    systems = Systems()
    found = await seen(systems.looks(2), "a", "b", "a", "c")

    assert found == {"a": "A", "b": "B", "c": "C"}
    assert sorted(systems.begun) == ["a", "b", "c"]


async def test_no_more_are_looked_at_than_there_are_turns() -> None:
    systems = Systems({name: asyncio.Event() for name in "abcd"})
    looking = asyncio.create_task(seen(systems.looks(2, quiet_s=60), *"abcd"))
    await systems.until(begun=["a", "b"])
    systems.let_go["a"].set()
    await systems.until(begun=["a", "b", "c"])
    for each in systems.let_go.values():
        each.set()

    assert len(await looking) == 4


async def test_who_is_silent_takes_nobodys_turn() -> None:
    systems = Systems({"dead": asyncio.Event()})
    looking = asyncio.create_task(seen(systems.looks(1), "dead", "a", "b"))
    await systems.until(ended=["a", "b"])
    systems.let_go["dead"].set()

    assert await looking == {"dead": "DEAD", "a": "A", "b": "B"}


async def test_who_is_slow_but_answers_keeps_its_turn() -> None:
    systems = Systems({"slow": asyncio.Event()}, answers={"slow": float("inf")})
    looking = asyncio.create_task(seen(systems.looks(1, give_up_s=0.2), "slow", "a"))
    await asyncio.sleep(0.6)
    before = list(systems.begun)
    systems.let_go["slow"].set()

    assert before == ["slow"]
    assert await looking == {"slow": "SLOW", "a": "A"}


async def test_others_do_not_wait_for_the_silent_in_the_end() -> None:
    systems = Systems({"dead": asyncio.Event()})
    found = await seen(systems.looks(2, give_up_s=0.3), "dead", "a")

    assert found == {"a": "A", "dead": None}
    assert systems.ended == ["a", "dead"]  # it was not left behind


async def test_one_that_was_asked_for_alone_is_waited_for() -> None:
    systems = Systems({"only": asyncio.Event()})
    looking = asyncio.create_task(seen(systems.looks(2, give_up_s=0.1), "only"))
    await asyncio.sleep(0.8)
    systems.let_go["only"].set()

    assert await looking == {"only": "ONLY"}


async def test_a_look_that_fails_ends_the_others() -> None:
    systems = Systems({"a": asyncio.Event()})

    async def look(system: str) -> str:
        if system == "b":
            raise TransientError("no")
        return await systems.look(system)

    with pytest.raises(TransientError):
        await seen(replace(systems.looks(2), look=look), "a", "b")

    assert systems.ended == ["a"]


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home") as opened:
        opened.tapis.flight(SYSTEM, "Flight1")
        opened.tapis.flight(DEAD, "Flight2")
        yield opened


@pytest.mark.long
async def test_a_dead_system_is_an_error_beside_the_flights_of_others(on: World) -> None:
    on.tapis.tapis.faults.switch_on("hang", system=DEAD, operation="listFiles", times=None)
    path = "/api/tapis-storage/discover-flights/"
    answer = (await on.http.post(path, headers=on.as_user(), timeout=80)).json()

    assert [one["flight_name"] for one in answer["flights"]] == ["Flight1"]
    assert (answer["success"], answer["errors"]) == (True, [f"{DEAD}: {SILENT}"])


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_system_that_falls_silent_is_not_asked_for_each_of_its_flights(on: World) -> None:
    """Each would take a minute and a half."""
    for number in range(3, 6):
        on.tapis.flight(DEAD, f"Flight{number}")
    faults = on.tapis.tapis.faults
    faults.switch_on("hang", system=DEAD, operation="listFiles", path="/code", after=2, times=None)
    body = {"systems": [DEAD]}
    path = "/api/tapis-storage/discover-flights/"
    answer = (await on.http.post(path, json=body, headers=on.as_user(), timeout=300)).json()

    assert [one["flight_name"] for one in answer["flights"]] == ["Flight2"]
    assert [error.partition(": ")[2] for error in answer["errors"]][-1] == SILENT
    assert len(answer["errors"]) == 2
