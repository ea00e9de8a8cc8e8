"""Releases run side by side: each reads what the other writes, and leaves alone what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from flightline.backup.documents import KEPT, SPECS
from shared.sqlite import open_database
from shared.state import Collection
from shared.state.carrying import carried
from shared.state.port import Record
from shared.state.sqlite import SqliteStore
from tests.support.released import THIS, all_written, models, releases, taken_back, with_additions

RELEASES = releases()
each_kept = pytest.mark.parametrize(
    ("release", "name"), [(release, name) for release, kept in RELEASES.items() for name in kept]
)


def test_what_this_release_writes_is_kept() -> None:
    assert RELEASES[THIS] == all_written(), "run make docs"


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_that_was_promised_is_taken_back(release: str) -> None:
    assert taken_back(RELEASES[release], all_written()) == []


@each_kept
def test_what_a_release_wrote_is_read_whole(release: str, name: str) -> None:
    for sample in RELEASES[release][name]["samples"]:
        read = models()[name].model_validate(sample).model_dump(mode="json")

        assert is_in(sample, carried(sample, read, read))


def is_in(part: Any, whole: Any) -> bool:
    """Return whether ``whole`` says all that ``part`` says."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            name in whole and is_in(each, whole[name]) for name, each in part.items()
        )
    return bool(part == whole)


async def test_no_service_drops_what_a_later_release_wrote_into_its_documents(tmp_path: Path) -> None:
    async with open_database(tmp_path / "state.db") as database:
        store = SqliteStore(database)
        await store.declare(*SPECS)
        for kept in KEPT:
            written = RELEASES[THIS][f"document {kept.spec.name}"]
            later = with_additions(written["samples"][0], written["schema"], written["schema"])
            await store.insert(kept.spec.name, Record("a", later))

            await Collection(store, kept.spec, kept.model).update("a", lambda body: body)

            found = await store.get(kept.spec.name, "a")
            assert found is not None
            assert is_in(later, found.body), kept.spec.name


def test_a_broken_promise_is_noticed() -> None:
    class Before(BaseModel):
        name: str
        size: int = 0

    class After(BaseModel):
        name: int
        size: int

    before = {"document x": {"schema": Before.model_json_schema()}}
    faults = taken_back(before, {"document x": {"schema": After.model_json_schema()}})

    assert [fault.partition(": ")[2] for fault in faults if "by us" in fault] == [
        "event.name: string is no longer accepted",
        "event.size: became required",
    ]
    assert taken_back(before, {}) == ["document x is gone"]
