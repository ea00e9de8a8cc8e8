"""A backup is taken under load, everything is lost, and what was restored goes on as after a kill."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from datalab.collections import COUNTERS, OPERATIONS, SESSIONS
from datalab.domain.asked import AskedOperation
from datalab.domain.sessions import DataSession
from datalab.numbers import Counter, Numbers
from datalab.sessions import Sessions
from discovery.collections import FLIGHTS
from discovery.domain.flights import Flight, FlightState
from flightline.backup.making import make_backup
from flightline.backup.manifest import Manifest
from flightline.backup.restoring import Restored, restore
from flightline.display import display
from flightline.pipeline import SUBSCRIPTIONS, Pipeline, running_pipeline
from odm_gateway.config import EngineKind
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.loops import TASKS
from shared.errors import ConflictError
from shared.messaging.port import UNROUTED_QUEUE, DeadLetter, Death, Message, UnroutableError
from shared.platform import Platform, open_platform
from shared.state import Collection
from tests.support.columns import Column, every, inventory
from tests.support.mongo import new_database
from tests.support.rabbitmq import session_rabbitmq
from tests.support.webhook_receiver import Receiver, webhook_receiver

FLIGHTS_UNDER_WAY = 5
LEASE = timedelta(seconds=3)
"""Of the process that held it, which is this one, nobody would say that it has died."""
PAUSE = timedelta(milliseconds=200)
TASK_S = 0.8
SLOW_TASK_S = 8.0
"""So long that servers are read before all tasks have ended."""
WITHIN_S = 90.0
UNREADABLE = b"no event"


def overrides(receiver: Receiver, root: Path, task_s: float = TASK_S) -> dict[str, dict[str, Any]]:
    """Return settings by which flights are processed one after the other."""
    return {
        "odm-gateway": {
            "engine": EngineKind.SIMULATE,
            "simulate_seconds": task_s,
            "tasks_at_once": 1,
            "webhook": SecretStr(f"{receiver.url}/hook"),
            "lease": LEASE,
        },
        "ingest": {"lease": LEASE},
        "discovery": {"roots": (root.as_uri(),), "scan_every": PAUSE, "settle": PAUSE},
    }


def add_flight(root: Path, flight: Path, name: str) -> None:
    """Put two photos where discovery looks for flights."""
    images = root / name / "code" / "images"
    images.mkdir(parents=True)
    for photo in sorted(flight.glob("*.JPG"))[:2]:
        shutil.copy(photo, images)


async def until(met: Callable[[Any], bool], look: Callable[[], Any]) -> Any:
    """Look until what is seen will do, and return it."""
    async with asyncio.timeout(WITHIN_S):
        while not met(seen := await look()):
            await asyncio.sleep(0.05)
    return seen


async def states(platform: Platform) -> dict[str, FlightState]:
    """Return how far each flight is, by name."""
    return {flight.name: flight.state async for flight in every(platform, FLIGHTS, Flight)}


async def dead_letters(platform: Platform) -> list[DeadLetter]:
    return [letter async for letter in platform.transport.dead_letters("ingest.flight-found")]


def sessions_of(platform: Platform) -> Sessions:
    store = platform.store
    return Sessions(
        Collection(store, SESSIONS, DataSession),
        Collection(store, OPERATIONS, AskedOperation),
        Numbers(Collection(store, COUNTERS, Counter)),
        10,
    )


async def busy(pipeline: Pipeline, root: Path, flight: Path) -> None:
    """Bring flights into every state, a dead letter, and a session of a user."""
    on = pipeline.platform
    await on.store.declare(SESSIONS, OPERATIONS, COUNTERS)
    await sessions_of(on).create("mira", "A night", [])
    await on.transport.publish(Message(UNREADABLE, "flight-found", "broken"))
    add_flight(root, flight, "done")
    await until(lambda seen: seen == {"done": FlightState.COMPLETED}, lambda: states(on))
    await until(lambda seen: len(seen) == 1, lambda: dead_letters(on))
    for number in range(FLIGHTS_UNDER_WAY):
        add_flight(root, flight, f"field-{number}")
    await until(is_busy, lambda: _tasks(on))


async def _tasks(on: Platform) -> list[Status]:
    return [task.status async for task in every(on, TASKS, Task)]


def is_busy(statuses: list[Status]) -> bool:
    return {Status.QUEUED, Status.RUNNING, Status.COMPLETED} <= set(statuses)


async def backed_up(
    column: Column, flight: Path, root: Path, folder: Path, task_s: float = TASK_S
) -> Manifest:
    """Take a backup under load."""
    async with (
        webhook_receiver() as receiver,
        running_pipeline(column.settings, overrides(receiver, root, task_s)) as pipeline,
    ):
        await busy(pipeline, root, flight)
        with display(quiet=True) as show:
            return await make_backup(column.settings, folder, show)


async def put_back(column: Column, folder: Path) -> Restored:
    with display(quiet=True) as show:
        return await restore(column.settings, folder, show)


async def goes_on(column: Column, root: Path) -> None:
    """Run services on what was restored, and see every flight end once, and nothing told twice."""
    names = ["done", *(f"field-{number}" for number in range(FLIGHTS_UNDER_WAY))]
    untold = set(names) - await told_of(column)
    async with (
        webhook_receiver() as receiver,
        running_pipeline(column.settings, overrides(receiver, root)) as pipeline,
    ):
        on = pipeline.platform
        await until(lambda seen: seen == dict.fromkeys(names, FlightState.COMPLETED), lambda: states(on))
        await receiver.wait(len(untold))
        await on.store.declare(SESSIONS, OPERATIONS, COUNTERS)
        sessions, letters = sessions_of(on), await dead_letters(on)
        kept, following = await sessions.of("mira", 1), await sessions.numbers.next("session")
        runs = [len(flight.runs) async for flight in every(on, FLIGHTS, Flight)]
    left = await inventory(column)

    assert sorted(one.payload["name"] for one in receiver.heard) == sorted(untold)
    assert (kept.name, following) == ("A night", 2)
    assert [letter.message.body for letter in letters] == [UNREADABLE]
    assert runs == [1] * len(names)
    assert left.tasks == (Status.COMPLETED,) * len(names)
    assert (len(left.listed), left.untold) == (2 * len(names), 0)


async def told_of(column: Column) -> set[str]:
    """Return the flights of whose end the webhook has heard, as far as the state knows."""
    async with open_platform(column.settings, ()) as platform:
        await platform.store.declare(TASKS)
        return {task.name or "" async for task in every(platform, TASKS, Task) if task.hooks_told}


async def test_what_was_backed_up_under_load_goes_on_after_everything_was_lost(
    embedded: Column, flight: Path, tmp_path: Path
) -> None:
    root, folder = tmp_path / "root", tmp_path / "elsewhere" / "backup"
    root.mkdir()
    manifest = await backed_up(embedded, flight, root, folder)
    shutil.rmtree(embedded.home)

    done = await put_back(embedded, folder)

    assert manifest.is_cut
    assert (done.set_aside, done.told.events.total()) == ([], 0)
    await goes_on(embedded, root)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_state_alone_is_enough_where_the_broker_is_lost_too(
    request: pytest.FixtureRequest, servers: Column, mongo_url: str, flight: Path, tmp_path: Path
) -> None:
    root, folder = tmp_path / "root", tmp_path / "elsewhere" / "backup"
    root.mkdir()
    servers = replace(servers, backends={**servers.backends, "folders": str(tmp_path)})
    manifest = await backed_up(servers, flight, root, folder, SLOW_TASK_S)
    broker, vhost = session_rabbitmq(request.config), f"fresh-{uuid4().hex[:8]}"
    broker.add_vhost(vhost)
    fresh = replace(
        servers,
        backends={**servers.backends, "state": new_database(mongo_url), "bus": f"{broker.url}{vhost}"},
    )

    done = await put_back(fresh, folder)

    assert (manifest.is_cut, manifest.objects_included) == (False, False)
    assert done.told.events.total() > 0
    await goes_on(fresh, root)
    await opens_on_a_laptop(servers, folder)


async def opens_on_a_laptop(servers: Column, folder: Path) -> None:
    """Restore the backup of servers into embedded backends beside their objects."""
    objects = {name: value for name, value in servers.backends.items() if name not in ("bus", "state")}
    laptop = Column(folder.parent / "laptop", objects)
    await put_back(laptop, folder)

    async with open_platform(laptop.settings, SUBSCRIPTIONS) as on:
        await on.store.declare(FLIGHTS)
        assert "done" in await states(on)
        assert [letter.message.body for letter in await dead_letters(on)] == [UNREADABLE]


@pytest.mark.long
async def test_what_was_on_a_laptop_goes_on_on_servers(
    request: pytest.FixtureRequest, embedded: Column, mongo_url: str, tmp_path: Path
) -> None:
    async with open_platform(embedded.settings, SUBSCRIPTIONS) as on:
        await on.store.declare(SESSIONS, OPERATIONS, COUNTERS)
        await sessions_of(on).create("mira", "A night", [])
        await on.transport.publish(Message(UNREADABLE, "flight-found", "waiting"))
        async with on.transport.consume("ingest.flight-found", prefetch=1) as deliveries:
            await (await anext(aiter(deliveries))).bury(Death("permanent", "no"))
        with pytest.raises(UnroutableError):
            await on.transport.publish(Message(b"{}", "flight-fund", "misspelt"))
    with display(quiet=True) as show:
        await make_backup(embedded.settings, tmp_path / "backup", show)
    broker, vhost = session_rabbitmq(request.config), f"moved-{uuid4().hex[:8]}"
    broker.add_vhost(vhost)
    moved = replace(embedded, backends={"bus": f"{broker.url}{vhost}", "state": new_database(mongo_url)})

    async with (
        open_platform(moved.settings, SUBSCRIPTIONS) as on,
        on.transport.consume("ingest.flight-found", prefetch=1),
    ):
        with pytest.raises(ConflictError, match="ingest listens to the broker: stop all services first"):
            await put_back(moved, tmp_path / "backup")

    await put_back(moved, tmp_path / "backup")

    async with open_platform(moved.settings, SUBSCRIPTIONS) as on:
        await on.store.declare(SESSIONS, OPERATIONS, COUNTERS)
        assert (await sessions_of(on).of("mira", 1)).name == "A night"
        assert [letter.death.error for letter in await dead_letters(on)] == ["no"]
        assert await on.transport.depth("discovery.flight-found") == 1
        assert await on.transport.depth(UNROUTED_QUEUE) == 1
    with pytest.raises(ConflictError, match="name a new one"):
        await put_back(moved, tmp_path / "backup")
