"""A backup is taken under load, everything is lost, and what was restored goes on as after a kill."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
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
from flightline.backup.cut import copy, cut
from flightline.backup.making import make_backup
from flightline.backup.manifest import Manifest, connected
from flightline.backup.restoring import Restored, restore
from flightline.display import display
from flightline.pipeline import Pipeline, running_pipeline
from odm_gateway.config import EngineKind
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.loops import TASKS
from shared.errors import ConflictError, DamagedError, InvalidInputError, StorageFullError
from shared.messaging.port import DeadLetter, Message
from shared.platform import Platform, open_platform
from shared.sqlite import Database, open_database
from shared.state import Collection
from tests.support.columns import Column, every, inventory
from tests.support.mongo import new_database
from tests.support.rabbitmq import session_rabbitmq
from tests.support.webhook_receiver import Receiver, webhook_receiver

FLIGHTS_UNDER_WAY = 5
PAUSE = timedelta(milliseconds=200)
TASK_S = 0.8
WITHIN_S = 90.0
UNREADABLE = b"no event"


def overrides(receiver: Receiver, root: Path) -> dict[str, dict[str, Any]]:
    """Return settings by which flights take about a second, one after the other."""
    return {
        "odm-gateway": {
            "engine": EngineKind.SIMULATE,
            "simulate_seconds": TASK_S,
            "tasks_at_once": 1,
            "webhook": SecretStr(f"{receiver.url}/hook"),
        },
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


async def backed_up(column: Column, flight: Path, root: Path, folder: Path) -> Manifest:
    """Take a backup under load."""
    async with (
        webhook_receiver() as receiver,
        running_pipeline(column.settings, overrides(receiver, root)) as pipeline,
    ):
        await busy(pipeline, root, flight)
        with display(quiet=True) as show:
            return await make_backup(column.settings, folder, show)


async def put_back(column: Column, folder: Path, **how: bool) -> Restored:
    with display(quiet=True) as show:
        return await restore(column.settings, folder, show, **how)


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
    await backed_up(servers, flight, root, folder)
    broker, vhost = session_rabbitmq(request.config), f"fresh-{uuid4().hex[:8]}"
    broker.add_vhost(vhost)
    fresh = replace(
        servers,
        backends={**servers.backends, "state": new_database(mongo_url), "bus": f"{broker.url}{vhost}"},
    )

    done = await put_back(fresh, folder)

    assert done.told.events["images-staged"] > 0
    await goes_on(fresh, root)


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> tuple[Column, Path]:
    """Return backends that are gone, and the backup of some objects and of a session that were there."""
    column, folder = Column(tmp_path_factory.mktemp("lost") / "home"), tmp_path_factory.mktemp("elsewhere")
    asyncio.run(_used(column, folder / "backup"))
    shutil.rmtree(column.home)
    return column, folder / "backup"


async def _used(column: Column, folder: Path) -> None:
    async with open_platform(column.settings, ()) as platform:
        await platform.store.declare(SESSIONS, OPERATIONS, COUNTERS)
        await sessions_of(platform).create("mira", "A night", [])
        await platform.objects.put("staging/f/a.jpg", b"a" * 1000, metadata={"taken": "today"})
        await platform.objects.put("staging/f/b.jpg", b"b" * 1000)
    (column.home / "secrets-key").write_text("sealed")
    with display(quiet=True) as show:
        await make_backup(column.settings, folder, show)


@pytest.fixture
def small(lost: tuple[Column, Path], tmp_path: Path) -> Path:
    """Return a copy of the backup, to be damaged."""
    return shutil.copytree(lost[1], tmp_path / "backup")


@pytest.fixture
def empty(lost: tuple[Column, Path]) -> Iterator[Column]:
    """Return the backends, with nothing in them."""
    yield lost[0]
    shutil.rmtree(lost[0].home, ignore_errors=True)


async def test_objects_and_keys_come_back_with_all_that_is_known_of_them(empty: Column, small: Path) -> None:
    await put_back(empty, small)

    async with open_platform(empty.settings, ()) as platform:
        stored = await platform.objects.stat("staging/f/a.jpg")
        content = await platform.objects.read("staging/f/b.jpg")
    key = empty.home / "secrets-key"
    assert stored is not None
    assert (stored.size_bytes, stored.metadata) == (1000, {"taken": "today"})
    assert content == b"b" * 1000
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("sealed", 0o600)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("manifest.json", cut_short),
        ("manifest.json", flip),
        ("manifest.json", Path.unlink),
        ("state.db", cut_short),
        ("bus.db", flip),
        ("keys/secrets-key", Path.unlink),
        ("objects.jsonl", cut_short),
        ("objects/staging+/f+/b.jpg", flip),
        ("objects/staging+/f+/b.jpg", Path.unlink),
    ],
)
async def test_a_damaged_backup_is_refused_with_a_sentence(
    empty: Column, small: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(small / name)

    with pytest.raises((DamagedError, InvalidInputError), match=r"damaged|missing|another backup"):
        await put_back(empty, small)

    assert not empty.home.exists()


async def test_nothing_that_is_there_is_overwritten(empty: Column, small: Path) -> None:
    await put_back(empty, small)
    there = (empty.home / "state.db").read_bytes()

    with pytest.raises(ConflictError, match="--force sets them aside"):
        await put_back(empty, small)
    done = await put_back(empty, small, force=True)

    assert len(done.set_aside) == 2
    assert there in [Path(path).read_bytes() for path in done.set_aside]


async def test_a_restore_below_running_services_is_refused(empty: Column, small: Path) -> None:
    await put_back(empty, small)

    async with open_platform(empty.settings, ()):
        with pytest.raises(ConflictError, match="stop them first"):
            await put_back(empty, small, force=True)


async def test_documents_that_name_other_objects_are_not_restored(
    tmp_path: Path, empty: Column, small: Path
) -> None:
    elsewhere = replace(empty, home=tmp_path / "another")

    with pytest.raises(InvalidInputError, match="set FLIGHTLINE_OBJECTS"):
        await put_back(elsewhere, small)


async def test_a_dry_run_changes_nothing(empty: Column, small: Path) -> None:
    await put_back(empty, small, dry_run=True)

    assert not empty.home.exists()


async def test_a_backup_is_never_written_over(empty: Column, small: Path) -> None:
    before = (small / "manifest.json").read_bytes()

    with pytest.raises(InvalidInputError, match="holds something already"), display(quiet=True) as show:
        await make_backup(empty.settings, small, show)

    assert (small / "manifest.json").read_bytes() == before


async def test_a_backup_that_finds_too_little_room_leaves_nothing(embedded: Column, full_disk: Path) -> None:
    async with open_platform(embedded.settings, ()) as platform:
        await platform.objects.put("large", b"a" * (5 << 20))

        with pytest.raises(StorageFullError), display(quiet=True) as show:
            await make_backup(embedded.settings, full_disk / "backup", show)

    assert list(full_disk.iterdir()) == []


async def test_a_backup_is_not_written_into_what_it_backs_up(embedded: Column) -> None:
    folder = embedded.home / "objects" / "backup"

    with pytest.raises(InvalidInputError, match="on another disk"), display(quiet=True) as show:
        await make_backup(embedded.settings, folder, show)


async def test_two_files_are_copied_as_they_were_at_one_moment(tmp_path: Path) -> None:
    """Marks are written to the first file, then to the second: there are never more in the second one."""
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    async with open_database(first) as one, open_database(second) as two:
        for database in (one, two):
            await database.write(lambda c: c.execute("CREATE TABLE marks (number INTEGER)"))
        writing = asyncio.create_task(_write_to_both(one, two))
        for number in range(8):
            await asyncio.sleep(0.01)
            in_first, in_second = await asyncio.to_thread(_cut, [first, second], tmp_path / f"{number}")
            assert in_second <= in_first <= in_second + 1
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing


async def _write_to_both(one: Database, two: Database) -> None:
    number = 0
    while True:
        for database in (one, two):
            await database.write(partial(_mark, number))
        number += 1


def _mark(number: int, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO marks VALUES (?)", (number,))


def _cut(paths: list[Path], folder: Path) -> list[int]:
    folder.mkdir()
    with cut(paths) as readers:
        for path, reader in zip(paths, readers, strict=True):
            copy(reader, folder / path.name)
    counts = []
    for path in paths:
        with connected(folder / path.name) as connection:
            counts.append(connection.execute("SELECT count(*) FROM marks").fetchone()[0])
    return counts
