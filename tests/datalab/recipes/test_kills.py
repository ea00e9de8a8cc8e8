"""Killed again and again at moments drawn by chance, the service ends its runs, asking for nothing twice."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from datalab.accounts import Accounts
from datalab.collections import OPERATIONS, TOKENS, USERS
from datalab.domain.asked import AskedOperation, State
from datalab.domain.users import Token, User
from datalab.resources import COLLECTIONS, SUBSCRIPTIONS
from shared.events import Event, TaskCompleted
from shared.messaging.topology import dead_queue
from shared.platform import Platform, open_platform
from shared.state import Collection
from tests.datalab.api.calling import made, operations, uploaded
from tests.datalab.recipes.calling import applied, from_step, run_of, statuses, step, written
from tests.support.columns import Column, server_backends
from tests.support.listening import TELLING, heard
from tests.support.processes import free_port
from tests.support.rabbitmq import session_rabbitmq
from tests.support.s3 import S3Server
from tests.support.zygote import Child, Zygote, zygote

KILLS = int(os.environ.get("FLIGHTLINE_TEST_KILLS", "0"))
"""How many, instead of each test's own number."""
PER_RUN = 6
SETS = 3
STEPS = 4
TAKE_S = 0.1
AT_WORK_S = 1.2
"""About as long as a run takes of which some is done."""
ENDS_WITHIN_S = 90.0
LOOKS_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """Processes of datalab on a column, one after the other."""

    column: Column
    zygote: Zygote
    port: int

    @property
    def runs(self) -> Path:
        """Return the file in which every computation is noted."""
        return self.column.home / "runs"

    @contextmanager
    def running(self, port: int | None = None) -> Iterator[Child]:
        """Run the service until the block ends."""
        environment = {
            **self.column.environment,
            "DATALAB_PORT": str(port or self.port),
            "DATALAB_WORKERS": "2",
            "DATALAB_LEASE": "2s",
            "FLIGHTLINE_LOG_LEVEL": "info",
            "FLIGHTLINE_TEST_RUNS": str(self.runs),
        }
        main = "tests.datalab.recipes.service:main"
        child = self.zygote.start(main, ["datalab"], environment, self.column.home / "service.log")
        try:
            yield child
        finally:
            child.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Column:
    """Embedded backends in an empty folder."""
    (tmp_path / "home").mkdir()
    return Column(tmp_path / "home")


@pytest.fixture
def servers(request: pytest.FixtureRequest, embedded: Column, mongo_url: str, s3: S3Server) -> Column:
    """RabbitMQ, a MongoDB-compatible server and S3."""
    broker = session_rabbitmq(request.config)
    return replace(embedded, backends=server_backends(broker, mongo_url, s3))


@pytest.fixture(scope="module")
def warm() -> Iterator[Zygote]:
    """Have a process that has imported what the service needs."""
    with zygote("tests.datalab.recipes.service") as parent:
        yield parent


def test_a_killed_service_goes_on_with_its_runs(embedded: Column, warm: Zygote) -> None:
    under_fire(Served(embedded, warm, free_port()), kills=KILLS or 2)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backends", ["embedded", "servers"])
def test_sixty_kills_lose_nothing_and_double_nothing(
    request: pytest.FixtureRequest, backends: str, warm: Zygote
) -> None:
    column: Column = request.getfixturevalue(backends)
    under_fire(Served(column, warm, free_port()), kills=KILLS or 60)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backends", ["embedded", "servers"])
def test_services_beside_each_other_ask_for_nothing_twice(
    request: pytest.FixtureRequest, backends: str, warm: Zygote
) -> None:
    served = Served(request.getfixturevalue(backends), warm, free_port())
    with served.running(free_port()), served.running(free_port()):
        under_fire(served, kills=KILLS or 20)


def under_fire(served: Served, kills: int) -> None:
    """Apply a recipe again and again under fire."""
    chance, left, runs = random.Random(20261122), kills, 0
    token = asyncio.run(a_users_token(served.column))
    headers = {"Authorization": f"Token {token}"}
    url = f"http://127.0.0.1:{served.port}"
    with httpx.Client(base_url=url, headers=headers, timeout=60, verify=False) as client:
        while left > 0:
            shots = min(left, PER_RUN)
            left -= shots
            one_run(served, client, chance, shots, runs)
            runs += 1
    asyncio.run(nothing_doubled(served.column, runs))
    lines = served.runs.read_text().splitlines()
    assert SETS * STEPS * runs <= len(lines) <= SETS * STEPS * runs + 2 * kills


def one_run(served: Served, client: httpx.Client, chance: random.Random, shots: int, number: int) -> None:
    with served.running() as child:
        until_it_answers(client)
        session = made(client)["id"]
        sets = [[uploaded(client, f"{number}-{each}.fits", fill=10 * number + each)] for each in range(SETS)]
        run = applied(client, a_recipe(client, number), session, sets=sets)
        time.sleep(chance.random() * AT_WORK_S)
        child.kill()
    for _ in range(shots - 1):
        with served.running() as child:
            until_it_answers(client)
            time.sleep(chance.random() * AT_WORK_S)
            child.kill()
    with served.running() as child:
        until_it_answers(client)
        shown = ended(client, run)
        assert (shown["status"], shown["message"]) == ("COMPLETED", ""), shown
        assert statuses(shown) == ["COMPLETED"] * (SETS * STEPS)
        found = client.get(operations(session)).json()
        assert {one["status"] for one in found["results"]} == {"COMPLETED"}
        assert sorted(one["id"] for one in found["results"]) == sorted(
            one["operation"] for one in shown["steps"]
        )
        assert found["count"] == SETS * STEPS
        child.end()


def a_recipe(client: httpx.Client, number: int) -> dict[str, Any]:
    """Write a recipe of four steps; nothing of it was computed before."""
    slow = {"take_s": TAKE_S + number / 10_000}
    return written(
        client,
        step("Sum", "one", outputs=2, **slow),
        step("Sum", "two", from_step("one"), **slow),
        step("Sum", "beside", from_step("one", index=0), outputs=2, **slow),
        step("Sum", "last", [from_step("two"), from_step("beside")], **slow),
    )


def ended(client: httpx.Client, run: dict[str, Any]) -> dict[str, Any]:
    ends_at_s = time.monotonic() + ENDS_WITHIN_S
    while not (shown := run_of(client, run))["ended"]:
        assert time.monotonic() < ends_at_s, shown
        time.sleep(0.05)
    return shown


def until_it_answers(client: httpx.Client) -> None:
    ends_at_s = time.monotonic() + LOOKS_WITHIN_S
    while True:
        try:
            client.get("/healthz")
        except httpx.TransportError:
            assert time.monotonic() < ends_at_s
            time.sleep(0.02)
        else:
            return


async def a_users_token(column: Column) -> str:
    async with open_platform(column.settings, (*SUBSCRIPTIONS, *TELLING)) as on:
        await on.store.declare(*COLLECTIONS)
        accounts = Accounts(Collection(on.store, USERS, User), Collection(on.store, TOKENS, Token))
        await accounts.add_user("alice", None)
        return await accounts.add_token("alice")


async def nothing_doubled(column: Column, runs: int) -> None:
    """Look at what is stored and what was told: one operation for each step, and one end of each."""
    async with open_platform(column.settings, (*SUBSCRIPTIONS, *TELLING)) as on:
        await on.store.declare(*COLLECTIONS)
        stored = Collection(on.store, OPERATIONS, AskedOperation)
        asked = [document.body async for document in stored.each({})]
        told = await all_told(on, len(asked))
        for queue in (each.queue for each in SUBSCRIPTIONS):
            assert await on.transport.depth(dead_queue(queue)) == 0
    assert Counter(one.state for one in asked) == {State.COMPLETED: SETS * STEPS * runs}
    assert Counter(event.data.task_id for event in told.values()) == {one.document_id: 1 for one in asked}


async def all_told(on: Platform, operations: int) -> dict[str, Event[TaskCompleted]]:
    """Wait until the ends of so many were told; an event that a killed relay sent twice has one id."""
    told: dict[str, Event[TaskCompleted]] = {}
    async with asyncio.timeout(LOOKS_WITHIN_S):
        while len({event.data.task_id for event in told.values()}) < operations:
            told |= {event.id: event for event in await heard(on, TaskCompleted, at_least=1)}
    return told | {event.id: event for event in await heard(on, TaskCompleted)}
