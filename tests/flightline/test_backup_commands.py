"""Backup, restore and retell, as an operator types them."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from discovery.collections import FLIGHTS
from discovery.domain.flights import Flight, FlightState, Listing, Run
from flightline.pipeline import SUBSCRIPTIONS
from ingest.collections import TRANSFERS
from ingest.domain.transfers import Staged, Transfer, TransferState
from odm_gateway.domain.tasks import Flight as FlightOfTask
from odm_gateway.domain.tasks import Status, Task, ended
from odm_gateway.loops import TASKS
from shared.events import Event, FlightFound
from shared.platform import Platform, open_platform
from shared.state import Collection
from tests.support.columns import Column
from tests.support.events import flight_found

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=40)


def flight(flight_id: str, state: FlightState, when: datetime) -> Flight:
    run = Run(version="v1", state=state, found_at=when, image_count=1, total_bytes=1)
    return Flight(
        flight_id=flight_id,
        name=flight_id,
        source="file:///x",
        state=state,
        listing=Listing(version="v1", seen_at=when, image_count=1, total_bytes=1, sidecars=("gcp.txt",)),
        runs=(run,),
        created_at=when,
        updated_at=when,
    )


def staged(ask: Event[FlightFound], when: datetime) -> Transfer:
    return Transfer(
        asks=(ask,),
        told=(0,),
        state=TransferState.STAGED,
        staged=Staged(prefix="file:///s/", manifest="file:///m", image_count=1, total_bytes=1),
        created_at=when,
        updated_at=when,
    )


def finished(flight_id: str, when: datetime) -> Task:
    task = Task(
        id=f"task-of-{flight_id}",
        created_at=when,
        inserted_us=1,
        images="",
        flight=FlightOfTask(flight_id=flight_id, version="v1", event_id="e", correlation_id="c"),
    )
    return ended(task, Status.COMPLETED, when)


async def make_history(on: Platform) -> None:
    """Have flights wait for every kind of event, some of them for long, and others that have ended."""
    await on.store.declare(FLIGHTS, TRANSFERS, TASKS)
    flights = Collection(on.store, FLIGHTS, Flight)
    transfers = Collection(on.store, TRANSFERS, Transfer)
    tasks = Collection(on.store, TASKS, Task)
    for name, state, when in (
        ("unheard", FlightState.STAGING, LONG_AGO),
        ("staged", FlightState.STAGING, LONG_AGO),
        ("processed", FlightState.PROCESSING, LONG_AGO),
        ("over", FlightState.COMPLETED, NOW),
        ("settling", FlightState.SETTLING, NOW),
    ):
        await flights.insert(name, flight(name, state, when))
    for name in ("staged", "processed", "over", "outside"):
        when = NOW if name in ("over", "outside") else LONG_AGO
        await transfers.insert(f"{name}.v1", staged(flight_found(name), when))
    for name, when in (("processed", LONG_AGO), ("over", LONG_AGO), ("outside", NOW)):
        await tasks.insert(f"task-of-{name}", finished(name, when))


@pytest.fixture
def used(column: Column) -> Column:
    """Return backends with a history; all of it waits for events that nobody will hear."""

    async def use() -> None:
        async with open_platform(column.settings, SUBSCRIPTIONS) as on:
            await make_history(on)

    asyncio.run(use())
    return column


def test_what_was_backed_up_is_restored_and_told_of_in_json(used: Column, tmp_path: Path) -> None:
    folder = tmp_path / "backups" / "today"
    made = used.run_json("backup", str(folder))
    checked = used.run_json("backup", str(folder), "--verify")
    refused = used.run("restore", str(folder))
    shutil.rmtree(used.home)
    done = used.run_json("restore", str(folder))

    assert made == checked == done["manifest"]
    assert made["documents"]["discovery_flights"] == 5
    assert (folder.stat().st_mode & 0o777, [path.name for path in folder.parent.iterdir()]) == (
        0o700,
        ["today"],
    )
    assert (refused.returncode, "--force sets them aside" in refused.stderr) == (1, True)
    assert len(used.run_json("flights")) == 5


def test_a_folder_that_is_no_backup_is_bad_input(column: Column, tmp_path: Path) -> None:
    ended = column.run("restore", str(tmp_path / "nothing"))

    assert (ended.returncode, "there is no backup in" in ended.stderr) == (2, True)


def test_a_password_in_a_url_that_is_wrong_is_not_shown(column: Column, tmp_path: Path) -> None:
    ended = column.run("backup", str(tmp_path / "b"), FLIGHTLINE_BUS="sqlite://anna:hunter2@host/bus.db")

    assert (ended.returncode, "write sqlite:///absolute/path/file.db" in ended.stderr) == (2, True)
    assert "hunter2" not in ended.stderr


def test_what_a_lost_broker_held_is_told_again_and_nothing_that_is_over(used: Column) -> None:
    (used.home / "bus.db").unlink()

    would = used.run_json("retell", "--dry-run")
    told = used.run_json("retell")
    waiting = asyncio.run(subjects(used))

    assert would == told == {"flight-found": 1, "images-staged": 3, "task-completed": 2}
    assert waiting == {
        "ingest.flight-found": {"unheard"},
        "odm-gateway.images-staged": {"staged", "processed", "outside"},
        "discovery.task-completed": {"processed", "outside"},
    }


def test_what_was_told_before_an_old_state_was_lost_is_told_again(used: Column) -> None:
    """The state was restored by other means, and is forty days old."""
    (used.home / "bus.db").unlink()

    now = used.run_json("retell", "--dry-run", "--before", f"{NOW + timedelta(days=3):%Y-%m-%dT%H:%M}Z")
    then = used.run_json("retell", "--dry-run", "--before", f"{LONG_AGO:%Y-%m-%dT%H:%M:%S}")
    wrong = used.run("retell", "--before", "yesterday")

    assert now == {"flight-found": 1, "images-staged": 2, "task-completed": 1}
    assert then == {"flight-found": 1, "images-staged": 3, "task-completed": 3}
    assert (wrong.returncode, "--before yesterday: Invalid isoformat" in wrong.stderr) == (2, True)


async def subjects(column: Column) -> dict[str, set[str]]:
    """Return what the messages that wait are about."""
    found: dict[str, set[str]] = {}
    async with open_platform(column.settings, SUBSCRIPTIONS) as on:
        for queue in ("ingest.flight-found", "odm-gateway.images-staged", "discovery.task-completed"):
            async with on.transport.consume(queue, prefetch=20) as deliveries:
                for _ in range(await on.transport.depth(queue)):
                    delivery = await anext(aiter(deliveries))
                    event = Event[dict[str, object]].model_validate_json(delivery.message.body)  # type: ignore[type-var]
                    found.setdefault(queue, set()).add(str(event.subject))
    return found
