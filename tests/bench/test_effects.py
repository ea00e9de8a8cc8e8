"""What lies in the backends is searched for what is missing, there twice, or damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bench.scale.effects import Expected, miscounted, unstaged, untold, workflows
from bench.scale.flight_set import Flight, Plan, flights
from bench.scale.ledger import Ledger

from ingest.collections import JOURNAL
from ingest.domain.transfers import base_key
from shared.objects.open import open_objects
from shared.objects.port import ObjectStore
from shared.state.open import open_store
from shared.state.port import Record

FINE = {"made": {"a": 1, "b": 1}, "succeeded": {"a": 1, "b": 1}, "workflows_left": 0, "claims_left": 0}


@pytest.fixture
def flight(tmp_path: Path) -> Flight:
    (flight,) = flights(tmp_path / "flights", Plan(1, images=2, scaled_every=1))
    return flight


@pytest.fixture
async def staged(tmp_path: Path, flight: Flight) -> AsyncIterator[ObjectStore]:
    base = base_key(flight.event.data)
    (tmp_path / "objects").mkdir()
    async with open_objects(f"file://{tmp_path}/objects") as objects:
        for photograph in flight.folder.glob("*.JPG"):
            await objects.put(f"{base}/files/{photograph.name}", photograph.read_bytes())
            await objects.put(f"{base}/scaled-1.5x/files/{photograph.name}", b"larger")
        yield objects


async def test_what_was_staged_and_scaled_is_as_it_should_be(staged: ObjectStore, flight: Flight) -> None:
    assert await unstaged(staged, flight) == []


async def test_a_staged_photograph_that_is_gone_or_another_one_is_reported(
    staged: ObjectStore, flight: Flight
) -> None:
    base = base_key(flight.event.data)
    await staged.delete(f"{base}/files/DJI_0000.JPG")
    await staged.put(f"{base}/files/DJI_0001.JPG", b"another")
    assert await unstaged(staged, flight) == [
        f"{base}/files/DJI_{number}.JPG: is not what was photographed" for number in ("0000", "0001")
    ]


async def test_a_scaled_image_that_is_gone_is_reported(staged: ObjectStore, flight: Flight) -> None:
    base = base_key(flight.event.data)
    await staged.delete(f"{base}/scaled-1.5x/files/DJI_0000.JPG")
    assert await unstaged(staged, flight) == [f"{base}: 1 scaled images of 2"]


def test_workflows_that_were_made_and_succeeded_once_are_in_order() -> None:
    assert workflows(FINE, 2) == []


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ({"made": {"a": 2, "b": 1}}, "workflow a was made 2 times"),
        ({"made": {"a": 1}}, "1 workflows were made for 2 flights"),
        ({"succeeded": {"a": 1}}, "workflow b did not succeed once"),
        ({"workflows_left": 1}, "workflows_left: 1"),
        ({"claims_left": 1}, "claims_left: 1"),
    ],
)
def test_a_workflow_too_many_or_too_few_is_reported(counts: dict[str, object], line: str) -> None:
    assert workflows(FINE | counts, 2) == [line]


def test_a_webhook_told_under_two_ids_does_not_hide_that_another_was_not() -> None:
    ledger = Ledger(flights=2, images=2, ends={"a", "b"})
    assert untold(ledger, Counter({"a": 1, "b": 2})) == []
    assert untold(ledger, Counter({"a": 1, "c": 1})) == [
        "webhook of b: was not told",
        "webhook of c: told of no end",
    ]


async def test_a_document_too_few_or_in_another_state_is_reported(tmp_path: Path) -> None:
    expected = Expected(JOURNAL.name, "state", "staged", 2)
    async with open_store(f"sqlite://{tmp_path}/state.db") as store:
        await store.declare(JOURNAL)
        for number, state in enumerate(("staged", "waiting")):
            await store.insert(JOURNAL.name, Record(f"{number}", {"state": state, "transfer_id": "t"}))
        [line] = [line async for line in miscounted(store, [expected])]
    assert line == f"{JOURNAL.name}: 1 of 2 are staged, 2 should be"
