"""The commands that look at a pipeline and mend it, as a user types them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from flightline.pipeline import SUBSCRIPTIONS
from shared.errors import PermanentError
from shared.events import Event, FlightFound
from shared.messaging.bus import Bus, open_bus
from shared.messaging.port import Topology
from tests.support.columns import Column
from tests.support.events import flight_found
from tests.support.zygote import Zygote

QUEUE = "ingest.flight-found"


@pytest.fixture
def column(tmp_path: Path, parent: Zygote) -> Column:
    (tmp_path / "home").mkdir()
    return Column(tmp_path / "home", parent=parent)


async def refuse(event: Event[FlightFound]) -> None:
    raise PermanentError(f"nobody wants {event.data.flight_id}")


@pytest.fixture
def buried(column: Column) -> str:
    """Have one event refused, and return its id."""
    event = flight_found("field-7")

    async def bury() -> None:
        topology = Topology(SUBSCRIPTIONS)
        async with open_bus(column.settings.bus, topology, service="ingest") as bus:
            consumer = bus.consumer()
            consumer.on(FlightFound, refuse)
            async with consumer:
                await bus.publish(event)
                await until_buried(bus)

    asyncio.run(bury())
    return event.id


async def until_buried(bus: Bus) -> None:
    async with asyncio.timeout(20):
        while not [letter async for letter in bus.transport.dead_letters(QUEUE)]:
            await asyncio.sleep(0.05)


def test_the_doctor_finds_a_fresh_machine_fit(column: Column) -> None:
    findings = column.run_json("doctor")

    assert {finding["what"] for finding in findings} == {
        "python", "disk", "engine", "bus", "state", "objects", "ports",
    }  # fmt: skip
    assert all(finding["ok"] for finding in findings)


def test_the_doctor_names_the_backend_that_is_damaged(column: Column) -> None:
    (column.home / "state.db").write_bytes(b"no database" * 1000)

    ended = column.run("doctor")

    assert ended.returncode == 1
    assert "FAIL  state" in ended.stdout
    assert "is damaged" in ended.stdout


def test_without_flights_there_are_none_to_list(column: Column) -> None:
    assert column.run_json("flights") == []


def test_an_unknown_state_of_flights_is_refused(column: Column) -> None:
    ended = column.run("flights", "--state", "lost")

    assert ended.returncode == 2
    assert "--state lost: one of settling, staging" in ended.stderr


def test_an_event_from_a_file_waits_in_its_queue(column: Column, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(flight_found("field-7").to_bytes())

    ended = column.run("events", "publish", str(file))

    assert ended.returncode == 0, ended.stderr
    assert column.run_json("status")["waiting"][QUEUE] == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "type None: expected one of flight-found"),
        ('{"type": "flight-lost"}', "type 'flight-lost': expected one of flight-found"),
        ('{"type": "flight-found", "specversion": "1.0"}', "flight-found"),
        ("no json", "body: no JSON"),
    ],
)
def test_what_is_no_event_is_not_published(column: Column, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "event.json"
    file.write_text(text)

    ended = column.run("events", "publish", str(file))

    assert ended.returncode in (1, 2)
    assert says in ended.stderr


def test_the_schema_of_each_event_is_printed(column: Column) -> None:
    ended = column.run("events", "schema", "images-staged")

    assert json.loads(ended.stdout)["properties"]["data"]


def test_a_dead_letter_is_listed_and_shown_with_its_reason(column: Column, buried: str) -> None:
    (line,) = column.run("dead-letters", "list", "--json").stdout.splitlines()
    letter = json.loads(line)
    shown = json.loads(column.run("dead-letters", "show", letter["id"]).stdout)

    assert (shown["event_id"], shown["queue"], shown["reason"]) == (buried, QUEUE, "permanent")
    assert "nobody wants field-7" in shown["error"]
    assert json.loads(shown["body"])["id"] == buried


def test_a_replayed_dead_letter_waits_in_its_queue_again(column: Column, buried: str) -> None:
    del buried
    ended = column.run("dead-letters", "replay", "--queue", QUEUE)

    status = column.run_json("status")
    assert ended.stdout.strip() == "replayed 1"
    assert (status["waiting"][QUEUE], status["dead_letters"][QUEUE]) == (1, 0)


def test_a_discarded_dead_letter_is_kept_in_the_export(column: Column, buried: str, tmp_path: Path) -> None:
    export = tmp_path / "letters.jsonl"

    ended = column.run("dead-letters", "discard", "--all", "--export", str(export))

    assert ended.returncode == 0, ended.stderr
    assert json.loads(export.read_text())["event_id"] == buried
    assert column.run_json("status")["dead_letters"][QUEUE] == 0


def test_replaying_without_saying_which_is_refused(column: Column) -> None:
    ended = column.run("dead-letters", "replay")

    assert ended.returncode == 2
    assert "say which" in ended.stderr
