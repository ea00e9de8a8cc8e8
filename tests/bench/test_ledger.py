"""An auditor notices what is lost, and what is done twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.scale.flight_set import Flight, Plan, flights
from bench.scale.ledger import Ledger

GATEWAY, INGEST, SCALER = "flightline/odm-gateway", "flightline/ingest", "flightline/scaler"


@pytest.fixture
def two(tmp_path: Path) -> list[Flight]:
    return list(flights(tmp_path, Plan(2, images=2, scaled_every=2)))


@pytest.fixture
def ledger(two: list[Flight]) -> Ledger:
    """Everything that is to be told of a flight that is scaled, and of one that is not."""
    ledger = Ledger(images=2)
    for flight in two:
        ledger.confirm(flight)
        ledger.hear(flight.event.to_bytes())
        tell(ledger, flight, "images-staged", INGEST)
        tell(ledger, flight, "task-completed", GATEWAY)
    scaled = two[0]
    tell(ledger, scaled, "images-staged", SCALER)
    tell(ledger, scaled, "image-scaled", SCALER, "1")
    tell(ledger, scaled, "image-scaled", SCALER, "2")
    return ledger


def tell(ledger: Ledger, flight: Flight, event_type: str, source: str, number: str = "") -> str | None:
    event = {
        "id": f"{event_type} {flight.id} {number}", "source": source, "type": event_type,
        "data": {"flight_id": flight.id, "status": "completed"},
    }  # fmt: skip
    return ledger.hear(json.dumps(event).encode())


def test_the_photographs_are_all_different_and_say_where_they_were_taken(
    tmp_path: Path, two: list[Flight]
) -> None:
    contents = [path.read_bytes() for path in tmp_path.rglob("*.JPG")]
    assert len(set(contents)) == 4
    assert all(b"Exif\0\0" in content for content in contents)
    assert [flight.is_scaled for flight in two] == [True, False]


def test_what_is_told_once_is_in_order(ledger: Ledger) -> None:
    verdict = ledger.verdict()
    assert verdict.is_clean, verdict
    assert (verdict.flights, verdict.completed, verdict.events, verdict.told_again) == (2, 2, 9, 0)


def test_the_same_event_told_again_is_counted_and_doubles_nothing(ledger: Ledger, two: list[Flight]) -> None:
    assert tell(ledger, two[1], "task-completed", GATEWAY) is None
    verdict = ledger.verdict()
    assert verdict.is_clean
    assert verdict.told_again == 1


def test_another_event_of_the_same_is_a_doubled_one(ledger: Ledger, two: list[Flight]) -> None:
    tell(ledger, two[1], "task-completed", GATEWAY, "again")
    assert ledger.verdict().doubled == (f"{two[1].id}: 2 of 1 task-completed of {GATEWAY}",)


def test_a_confirmed_flight_that_never_ends_is_lost(tmp_path: Path, ledger: Ledger) -> None:
    (third,) = flights(tmp_path / "more", Plan(1, scaled_every=2))
    ledger.confirm(third)
    lost = ledger.verdict().lost
    assert f"{third.id}: 0 of 1 task-completed of {GATEWAY}" in lost
    assert f"{third.id}: its announcement was not heard" in lost


def test_what_nobody_expects_is_reported(ledger: Ledger, two: list[Flight]) -> None:
    tell(ledger, two[0], "task-completed", INGEST)
    assert ledger.verdict().lost == (f"{two[0].id}: task-completed of {INGEST} was not expected",)


def test_an_end_that_is_no_success_is_lost(ledger: Ledger, two: list[Flight]) -> None:
    event = {
        "id": "x", "source": GATEWAY, "type": "task-completed",
        "data": {"flight_id": two[0].id, "status": "failed", "error": "no images"},
    }  # fmt: skip
    assert ledger.hear(json.dumps(event).encode()) == two[0].id
    assert f"{two[0].id}: failed: no images" in ledger.verdict().lost
