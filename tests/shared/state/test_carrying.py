"""An older release changes a document and leaves in it what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from shared.sqlite import open_database
from shared.state import Collection, CollectionSpec
from shared.state.carrying import carried
from shared.state.port import Record
from shared.state.sqlite import SqliteStore

SPEC = CollectionSpec("parcels")


class Stop(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    reached: bool = False


class Parcel(BaseModel):
    model_config = ConfigDict(frozen=True)

    owner: str
    stops: tuple[Stop, ...] = ()
    labels: dict[str, str] = {}
    home: Stop | None = None


def parcel(*stops: str, **more: Any) -> dict[str, Any]:
    """Return a parcel as a newer release writes it: every object has a field more."""
    written = [{"name": name, "reached": False, "at": f"{name}'s"} for name in stops]
    return {"owner": "mira", "stops": written, "labels": {}, "home": None, "weight_g": 12, **more}


@pytest.mark.parametrize(
    ("stored", "change", "names"),
    [
        (parcel("a", "b"), {"owner": "jo"}, ["a's", "b's"]),
        (parcel("a", "b"), {"stops": (Stop(name="a"), Stop(name="b", reached=True))}, ["a's", "b's"]),
        (parcel("a", "b"), {"stops": (Stop(name="a"), Stop(name="b"), Stop(name="c"))}, ["a's", "b's", None]),
        (parcel("a", "b"), {"stops": (Stop(name="b"), Stop(name="c"))}, ["b's", None]),
        (parcel("a", "b", "c"), {"stops": (Stop(name="c"),)}, ["c's"]),
        (parcel("a"), {"stops": ()}, []),
    ],
    ids=["kept", "changed", "appended", "moved on", "cut", "emptied"],
)
async def test_unknown_fields_survive_a_change_by_an_older_release(
    tmp_path: Path, stored: dict[str, Any], change: dict[str, Any], names: list[str | None]
) -> None:
    async with open_database(tmp_path / "state.db") as database:
        store = SqliteStore(database)
        await store.declare(SPEC)
        await store.insert(SPEC.name, Record("p", stored))
        parcels = Collection(store, SPEC, Parcel)

        changed = await parcels.update("p", lambda body: body.model_copy(update=change))
        found = await store.get(SPEC.name, "p")

    assert found == changed.record
    assert found is not None
    assert found.body["weight_g"] == 12
    assert [stop.get("at") for stop in found.body["stops"]] == names
    assert Parcel.model_validate(found.body) == changed.body


def test_what_was_removed_on_purpose_is_not_put_back() -> None:
    stored = parcel(labels={"fragile": "yes", "old": "no"}, home={"name": "h", "reached": False, "at": "h's"})
    read = Parcel.model_validate(stored)

    written = read.model_copy(update={"labels": {"fragile": "yes"}, "home": None})
    result = carried(stored, read.model_dump(mode="json"), written.model_dump(mode="json"))

    assert (result["labels"], result["home"], result["weight_g"]) == ({"fragile": "yes"}, None, 12)


def test_a_document_of_an_older_release_gets_the_fields_that_are_new() -> None:
    stored = {"owner": "mira"}
    read = Parcel.model_validate(stored).model_dump(mode="json")

    assert carried(stored, read, read) == read
