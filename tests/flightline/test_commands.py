"""The commands that look at a pipeline and mend it, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.flightline.letters import QUEUE
from tests.support.columns import Column
from tests.support.events import flight_found


def test_the_doctor_finds_a_fresh_machine_fit(column: Column) -> None:
    findings = column.run_json("doctor")

    assert {finding["what"] for finding in findings} == {
        "settings", "python", "disk", "limits", "engine", "ports", "bus", "state", "objects",
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
    assert column.run_json("status")["queues"][QUEUE]["counts"]["ready"] == 1


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


def test_what_is_no_event_is_published_as_one_where_that_is_said(column: Column, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text("no json")

    ended = column.run("events", "publish", "--as", "flight-found", str(file))

    assert ended.stdout == "published flight-found\n", ended.stderr
    assert column.run_json("status")["queues"][QUEUE]["counts"]["ready"] == 1
