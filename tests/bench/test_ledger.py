"""An auditor notices what is lost, and what is done twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.scale.flight_set import OUTSIDE, Flight, Plan, flights
from bench.scale.ledger import Ledger

GATEWAY, INGEST, SCALER = "flightline/odm-gateway", "flightline/ingest", "flightline/scaler"


@pytest.fixture
def two(tmp_path: Path) -> list[Flight]:
    return list(flights(tmp_path, Plan(2, images=2, scaled_every=2)))


@pytest.fixture
def ledger(two: list[Flight]) -> Ledger:
    """Everything that is to be told of a flight that is scaled, and of one that is not."""
    ledger = Ledger(flights=2, images=2)
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


def tell(
    ledger: Ledger,
    flight: Flight,
    event_type: str,
    source: str,
    number: str = "",
    *,
    tries: str = "",
    **data: str,
) -> str | None:
    event = {
        "id": f"{event_type} {flight.id} {number} {tries}", "source": source, "type": event_type,
        "data": {"flight_id": flight.id, "status": "completed", "source": f"file:///{number}.JPG"} | data,
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


def test_only_what_services_tell_again_is_counted(ledger: Ledger, two: list[Flight]) -> None:
    announced, last = two[0].event.to_bytes(), ledger.last["image-scaled"]
    ledger.hear(announced)  # its confirm was lost
    ledger.retell(last)
    ledger.hear(last)
    ledger.hear(last, is_redelivered=True)
    verdict = ledger.verdict()
    assert verdict.is_clean
    assert verdict.told_again == 0


def test_another_event_of_the_same_is_a_doubled_one(ledger: Ledger, two: list[Flight]) -> None:
    tell(ledger, two[1], "task-completed", GATEWAY, tries="again")
    assert ledger.verdict().doubled == (f"{two[1].id}: 2 task-completed of {GATEWAY} about 1 of 1",)
    assert not ledger.verdict().lost


def test_an_event_that_says_something_else_when_it_is_told_again_is_a_doubled_one(
    ledger: Ledger, two: list[Flight]
) -> None:
    tell(ledger, two[1], "task-completed", GATEWAY, status="failed")
    [line] = ledger.verdict().doubled
    assert line.endswith("was told again, and otherwise")


def test_one_image_told_twice_does_not_hide_that_another_is_lost(tmp_path: Path) -> None:
    ledger, (flight,) = Ledger(flights=1, images=2), flights(tmp_path, Plan(1, images=2, scaled_every=1))
    ledger.confirm(flight)
    ledger.hear(flight.event.to_bytes())
    for event_type, teller in (
        ("images-staged", INGEST),
        ("images-staged", SCALER),
        ("task-completed", GATEWAY),
    ):
        tell(ledger, flight, event_type, teller)
    tell(ledger, flight, "image-scaled", SCALER, "1")
    tell(ledger, flight, "image-scaled", SCALER, "1", tries="again")
    line = f"{flight.id}: 2 image-scaled of {SCALER} about 1 of 2"
    assert (ledger.verdict().lost, ledger.verdict().doubled) == ((line,), (line,))


def test_a_confirmed_flight_that_never_ends_is_lost(tmp_path: Path, ledger: Ledger) -> None:
    (third,) = flights(tmp_path / "more", Plan(1, scaled_every=2))
    ledger.confirm(third)
    lost = ledger.verdict().lost
    assert f"{third.id}: 0 task-completed of {GATEWAY} about 0 of 1" in lost
    assert f"{third.id}: 0 flight-found of {OUTSIDE} about 0 of 1" in lost


def test_flights_that_nobody_announced_are_lost(tmp_path: Path) -> None:
    ledger, (flight,) = Ledger(flights=3, images=2), flights(tmp_path, Plan(1))
    assert ledger.verdict().lost == ("3 of 3 flights were never announced",)
    ledger.confirm(flight)
    assert ledger.verdict().lost[0] == "2 of 3 flights were never announced"


@pytest.mark.parametrize(
    ("event_type", "teller"), [("task-completed", INGEST), ("flight-found", "flightline/discovery")]
)
def test_what_nobody_expects_is_reported(
    ledger: Ledger, two: list[Flight], event_type: str, teller: str
) -> None:
    tell(ledger, two[0], event_type, teller)
    assert ledger.verdict().doubled == (f"{two[0].id}: {event_type} of {teller} was not expected",)


def test_a_flight_that_nobody_announced_and_that_ends_is_reported(tmp_path: Path, ledger: Ledger) -> None:
    (third,) = flights(tmp_path / "more", Plan(1))
    tell(ledger, third, "task-completed", GATEWAY)
    assert ledger.verdict().doubled == (f"{third.id}: task-completed of {GATEWAY} was not expected",)


def test_an_end_that_is_no_success_is_lost(ledger: Ledger, two: list[Flight]) -> None:
    assert tell(ledger, two[0], "task-completed", GATEWAY, tries="x", status="failed", error="no images")
    assert f"{two[0].id}: failed: no images" in ledger.verdict().lost
