"""What every document store does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import InvalidInputError
from shared.state.port import (
    AlreadyExistsError,
    Between,
    Claim,
    CollectionSpec,
    Index,
    Lease,
    OneOf,
    Order,
    OutboxEntry,
    Record,
    RevisionError,
    Store,
    Where,
)

FLIGHTS = CollectionSpec(
    "flights",
    (
        Index(("state", "found_at")),
        Index(("name",), unique=True),
        Index(("site.code", "site.block"), unique=True),
    ),
)
NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
async def flights(store: Store) -> Store:
    await store.declare(FLIGHTS)
    return store


async def insert(store: Store, record_id: str, **body: Any) -> Record:
    record = Record(record_id, body)
    await store.insert("flights", record)
    return record


async def found(store: Store, where: Where, order: Order | None = None) -> list[str]:
    return [record.id for record in (await store.find("flights", where, order=order)).records]


async def test_a_record_survives_with_all_its_parts(flights: Store) -> None:
    record = Record(
        "f/1 ü",
        {
            "a.b": {"$set": None, "": [1, 1.5, True, "\0 \ud800 ü"]},
            "big": 2**70,
            "small": -0.0,
            "state": "new",
        },
        outbox=(OutboxEntry("e1", "flight-found", '{"a":"\\u0000"}'), OutboxEntry("e2", "t", "{}")),
        seen=("a#1", "b#2"),
        lease=Lease("worker", NOW),
        expires_at=NOW + timedelta(microseconds=1),
    )
    await flights.insert("flights", record)

    assert await flights.get("flights", record.id) == record


async def test_declaring_twice_and_at_once_changes_nothing(flights: Store) -> None:
    await insert(flights, "1", state="new")

    await asyncio.gather(*(flights.declare(FLIGHTS) for _ in range(5)))

    assert await found(flights, {"state": "new"}) == ["1"]


async def test_documents_are_found_by_an_index_declared_later(flights: Store) -> None:
    await insert(flights, "1", owner="ada")
    await insert(flights, "2", owner="bob")

    await flights.declare(CollectionSpec("flights", (*FLIGHTS.indexes, Index(("owner",)))))

    assert await found(flights, {"owner": "bob"}) == ["2"]


async def test_what_is_not_there_is_none(flights: Store) -> None:
    assert await flights.get("flights", "nobody") is None


@pytest.mark.parametrize(
    "bodies",
    [
        ({"name": "a"}, {"name": "a"}),
        ({"site": {"code": 1, "block": "x"}}, {"site": {"code": 1.0, "block": "x"}}),
    ],
    ids=["one field", "two nested fields"],
)
async def test_a_unique_value_is_taken_once(flights: Store, bodies: tuple[dict[str, Any], ...]) -> None:
    await flights.insert("flights", Record("1", bodies[0]))

    with pytest.raises(AlreadyExistsError):
        await flights.insert("flights", Record("2", bodies[1]))


async def test_an_id_is_taken_once(flights: Store) -> None:
    await insert(flights, "1", state="first")

    with pytest.raises(AlreadyExistsError):
        await insert(flights, "1", state="second")
    record = await flights.get("flights", "1")
    assert record is not None
    assert record.body == {"state": "first"}


async def test_documents_without_the_unique_field_do_not_collide(flights: Store) -> None:
    await insert(flights, "1", site={"code": 1})
    await insert(flights, "2", site={"code": 1})
    await insert(flights, "3", name=None)
    await insert(flights, "4", name=None)

    assert await flights.count("flights", {}) == 4


async def test_a_swap_to_a_taken_unique_value_is_refused(flights: Store) -> None:
    await insert(flights, "1", name="a")
    second = await insert(flights, "2", name="b")

    with pytest.raises(AlreadyExistsError):
        await flights.swap("flights", replace(second, revision=2, body={"name": "a"}))
    assert await flights.get("flights", "2") == second


async def test_a_swap_replaces_everything(flights: Store) -> None:
    old = Record(
        "1", {"state": "new", "x": 1}, 1, (OutboxEntry("e", "t", "{}"),), ("k",), Lease("w", NOW), NOW
    )
    await flights.insert("flights", old)
    new = Record("1", {"state": "done"}, revision=2)
    await flights.swap("flights", new)

    assert await flights.get("flights", "1") == new
    assert await flights.pending("flights") == []
    assert await found(flights, {"state": "new"}) == []


@pytest.mark.parametrize("revision", [1, 3])
async def test_a_swap_from_another_revision_is_refused(flights: Store, revision: int) -> None:
    record = await insert(flights, "1", state="new")

    with pytest.raises(RevisionError):
        await flights.swap("flights", replace(record, revision=revision, body={}))


async def test_a_swap_of_what_is_gone_is_refused(flights: Store) -> None:
    with pytest.raises(RevisionError):
        await flights.swap("flights", Record("1", {}, revision=2))


async def test_of_many_swaps_at_once_one_wins(flights: Store) -> None:
    record = await insert(flights, "1", n=0)
    wanted = [replace(record, revision=2, body={"n": n}) for n in range(20)]

    outcomes = await asyncio.gather(*(flights.swap("flights", r) for r in wanted), return_exceptions=True)

    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, RevisionError) for outcome in outcomes) == 19


async def test_a_delete_wants_the_newest_revision(flights: Store) -> None:
    record = await insert(flights, "1", name="a")
    await flights.swap("flights", replace(record, revision=2))

    with pytest.raises(RevisionError):
        await flights.delete("flights", record)
    await flights.delete("flights", replace(record, revision=2))
    assert await flights.get("flights", "1") is None


async def test_conditions_hold_together(flights: Store) -> None:
    for n in range(6):
        await insert(flights, f"{n}", state="odd" if n % 2 else "even", found_at=n)
    await insert(flights, "x", state="odd")

    assert await found(flights, {"state": "odd", "found_at": Between(1, 5)}) == ["1", "3"]
    assert await found(flights, {"state": OneOf(("even", "none")), "found_at": Between(low=2)}) == ["2", "4"]
    assert await found(flights, {"state": "odd", "found_at": Between()}) == ["1", "3", "5", "x"]
    assert await found(flights, {"state": OneOf(())}) == []


async def test_documents_are_found_by_id_too(flights: Store) -> None:
    for n in range(4):
        await insert(flights, f"{n}", state="new")

    assert await found(flights, {"id": OneOf(("1", "3", "9"))}) == ["1", "3"]
    assert await found(flights, {"id": Between("2"), "state": "new"}) == ["2", "3"]


async def test_true_and_false_are_found_by_themselves(flights: Store) -> None:
    await insert(flights, "1", state=True)
    await insert(flights, "2", state=False)

    assert await found(flights, {"state": True}) == ["1"]
    assert await found(flights, {"state": False}) == ["2"]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("states", [("new",), ("new", "done")])
async def test_pages_neither_overlap_nor_skip(
    flights: Store, limit: int, descending: bool, states: tuple[str, ...]
) -> None:
    times = [3, None, 1, 1, None, 2, 1.5, 1]
    for n, time in enumerate(times):
        state = states[n % len(states)]
        await insert(flights, f"{n}", state=state, **({} if time is None else {"found_at": time}))
    order = Order("found_at", descending=descending)

    pages: list[list[int]] = []
    cursor = None
    while not pages or cursor:
        where: Where = {"state": OneOf(states) if len(states) > 1 else states[0]}
        page = await flights.find("flights", where, order=order, limit=limit, after=cursor)
        pages.append([int(record.id) for record in page.records])
        cursor = page.cursor

    expected = sorted(range(8), key=lambda n: (times[n] or 0, n), reverse=descending)
    assert [n for page in pages for n in page] == expected
    assert all(len(page) == limit for page in pages[:-1])


async def test_a_page_tells_the_versions_of_its_records(flights: Store) -> None:
    for n in range(3):
        record = await insert(flights, f"{n}", state="new")
        for revision in range(2, n + 2):
            record = replace(record, revision=revision)
            await flights.swap("flights", record)

    page = await flights.find("flights", {"state": "new"}, limit=2)

    assert list(page.versions) == [("0", 1), ("1", 2)]
    assert [(record.id, record.revision) for record in page.records] == list(page.versions)
    assert [record.id for record in page.records[-1:]] == ["1"]


async def test_pages_by_id_neither_overlap_nor_skip(flights: Store) -> None:
    for record_id in ("b", "ü", "a", "B", "a/b", "c"):
        await insert(flights, record_id)
    first = await flights.find("flights", {}, limit=4)
    second = await flights.find("flights", {}, limit=4, after=first.cursor)

    assert [r.id for r in (*first.records, *second.records)] == ["B", "a", "a/b", "b", "c", "ü"]
    assert second.cursor is None


@pytest.mark.parametrize("cursor", ["", "xx", "bm90aGluZw==", "WyJhIiwgMSwgIjEiXQ=="])
async def test_a_forged_cursor_is_refused(flights: Store, cursor: str) -> None:
    with pytest.raises(InvalidInputError):
        await flights.find("flights", {}, after=cursor)


async def test_the_cursor_of_another_query_is_refused(flights: Store) -> None:
    await insert(flights, "1", state="new")
    await insert(flights, "2", state="new")
    page = await flights.find("flights", {"state": "new"}, limit=1)

    with pytest.raises(InvalidInputError, match="another query"):
        await flights.find("flights", {}, limit=1, after=page.cursor)


@pytest.mark.parametrize(
    ("where", "order"),
    [({"owner": "x"}, None), ({"state": "x", "name": "y"}, None), ({"name": "x"}, Order("found_at"))],
)
async def test_a_query_without_an_index_is_refused(flights: Store, where: Where, order: Order | None) -> None:
    with pytest.raises(InvalidInputError, match="declare an index"):
        await flights.find("flights", where, order=order)


async def test_an_undeclared_collection_is_refused(flights: Store) -> None:
    with pytest.raises(InvalidInputError, match="not declared"):
        await flights.get("planes", "1")


@pytest.mark.parametrize("record_id", ["", "x" * 1001, "\ud800"])
async def test_an_impossible_id_is_refused(flights: Store, record_id: str) -> None:
    with pytest.raises(InvalidInputError):
        await insert(flights, record_id)


async def test_a_body_that_is_no_json_is_refused(flights: Store) -> None:
    with pytest.raises(InvalidInputError):
        await insert(flights, "1", x=float("nan"))


async def test_counting_agrees_with_finding(flights: Store) -> None:
    for n in range(7):
        await insert(flights, f"{n}", state="odd" if n % 2 else "even", found_at=n)

    assert await flights.count("flights", {"state": "even", "found_at": Between(high=4)}) == 2
    assert await flights.count("flights", {}) == 7


def claim(owner: str, now: datetime = NOW, *, minutes: int = 5) -> Claim:
    return Claim({"state": "new"}, Lease(owner, now + timedelta(minutes=minutes)), now, Order("found_at"))


async def test_a_claim_takes_the_first_free_document(flights: Store) -> None:
    await insert(flights, "late", state="new", found_at=2)
    early = await insert(flights, "early", state="new", found_at=1)
    await insert(flights, "other", state="done", found_at=0)
    wanted = claim("me")

    taken = await flights.claim("flights", wanted)

    assert taken == replace(early, revision=2, lease=wanted.lease)
    assert await flights.get("flights", "early") == taken


async def test_a_held_document_is_claimed_again_once_its_lease_ends(flights: Store) -> None:
    await insert(flights, "1", state="new", found_at=1)
    await flights.claim("flights", claim("first"))

    assert await flights.claim("flights", claim("second", NOW + timedelta(minutes=4))) is None
    taken = await flights.claim("flights", claim("second", NOW + timedelta(minutes=5)))
    assert taken is not None
    assert taken.lease is not None
    assert taken.lease.owner == "second"


async def test_many_claims_at_once_never_take_the_same(flights: Store) -> None:
    for n in range(20):
        await insert(flights, f"{n}", state="new", found_at=n)

    taken = await asyncio.gather(*(flights.claim("flights", claim(f"w{n}")) for n in range(30)))

    assert sorted(int(record.id) for record in taken if record) == list(range(20))


async def test_a_claim_makes_an_older_copy_stale(flights: Store) -> None:
    record = await insert(flights, "1", state="new", found_at=1)
    await flights.claim("flights", claim("me"))

    with pytest.raises(RevisionError):
        await flights.swap("flights", replace(record, revision=2))


async def test_pending_events_wait_in_the_order_of_their_documents(flights: Store) -> None:
    event = OutboxEntry("e", "t", "{}")
    first = Record("z", {}, outbox=(event,))
    await flights.insert("flights", first)
    await insert(flights, "m")
    await flights.insert("flights", Record("a", {}, outbox=(event,)))
    await flights.swap("flights", replace(first, revision=2, outbox=(event, replace(event, id="e2"))))

    assert [record.id for record in await flights.pending("flights")] == ["z", "a"]
    assert [record.id for record in await flights.pending("flights", 1)] == ["z"]


async def test_only_what_expired_and_told_its_events_is_purged(flights: Store) -> None:
    event = OutboxEntry("e", "t", "{}")
    await flights.insert("flights", Record("gone", {}, expires_at=NOW))
    await flights.insert("flights", Record("untold", {}, expires_at=NOW, outbox=(event,)))
    await flights.insert("flights", Record("later", {}, expires_at=NOW + timedelta(microseconds=1)))
    await flights.insert("flights", Record("never", {}))

    assert await flights.purge_expired("flights", NOW) == 1
    assert await found(flights, {}) == ["later", "never", "untold"]


async def test_an_open_store_answers_a_ping(store: Store) -> None:
    await asyncio.wait_for(store.ping(), 5)
