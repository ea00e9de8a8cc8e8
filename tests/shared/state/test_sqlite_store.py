"""What only the store in SQLite does: its indexes serve its queries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import ConflictError
from shared.state.open import open_store
from shared.state.port import Between, CollectionSpec, Index, OneOf, Order, Record, Where
from shared.state.query import Position, Query
from shared.state.sql import Condition, Part, matching, parts, select_sql, table_sql
from shared.state.sqlite import claimable

SPEC = CollectionSpec("flights", (Index(("state", "found_at")), Index(("site.name",), unique=True)))


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        for statement in table_sql(SPEC):
            opened.execute(statement)
        yield opened


def plan(connection: sqlite3.Connection, sql: str, condition: Condition, *more: object) -> str:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", (*condition.values, *more))
    return "; ".join(row[3] for row in rows)


def select_plan(connection: sqlite3.Connection, query: Query, part: Part) -> str:
    return plan(connection, select_sql(query, part), part.condition, 10)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("where", [{"state": "new"}, {"state": "new", "found_at": Between("2026", "2027")}])
def test_a_sorted_find_reads_one_index_and_sorts_nothing(
    connection: sqlite3.Connection, where: Where, *, descending: bool
) -> None:
    query = Query(SPEC, where, Order("found_at", descending))

    for part in (*parts(query, None), *parts(query, Position("2026-05", "id"))):
        told = select_plan(connection, query, part)
        assert "USING INDEX flights index state found_at (<expr>=?" in told
        assert "TEMP B-TREE" not in told


def test_the_next_page_begins_in_the_index_at_the_cursor(connection: sqlite3.Connection) -> None:
    query = Query(SPEC, {"state": "new"}, Order("found_at"))
    (part,) = parts(query, Position("2026-05", "id"))

    assert "(<expr>=? AND <expr>>?)" in select_plan(connection, query, part)


@pytest.mark.parametrize("where", [{"state": "new"}, {"state": OneOf(("new", "done"))}, {"site.name": "x"}])
def test_a_count_searches_an_index(connection: sqlite3.Connection, where: Where) -> None:
    condition = matching(where)
    sql = f"SELECT count(*) FROM flights WHERE {condition.sql}"

    assert "SEARCH flights USING" in plan(connection, sql, condition)


def test_a_claim_searches_an_index(connection: sqlite3.Connection) -> None:
    query = Query(SPEC, {"state": "new"}, Order("found_at"))

    told = select_plan(connection, query, claimable(query, datetime.now(UTC)))
    assert "SEARCH flights USING INDEX flights index state found_at (<expr>=?)" in told
    assert "TEMP B-TREE" not in told


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT id FROM flights WHERE outbox_since IS NOT NULL ORDER BY outbox_since", "outbox_since"),
        ("DELETE FROM flights WHERE expires_at <= 1 AND outbox_since IS NULL", "expires_at"),
    ],
)
def test_relay_and_purge_read_indexes_of_what_waits(
    connection: sqlite3.Connection, sql: str, index: str
) -> None:
    assert f"flights {index}" in plan(connection, sql, Condition("TRUE"))


async def test_a_new_unique_index_over_duplicates_is_refused(tmp_path: Path) -> None:
    async with open_store(f"sqlite://{tmp_path}/state.db") as store:
        await store.declare(CollectionSpec("flights"))
        await store.insert("flights", Record("1", {"site": {"name": "x"}}))
        await store.insert("flights", Record("2", {"site": {"name": "x"}}))

        with pytest.raises(ConflictError, match="contradict"):
            await store.declare(SPEC)


async def test_a_document_outlives_the_process_that_wrote_it(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/with%20space/state.db"
    record = Record("1", {"state": "new"}, expires_at=datetime(2027, 1, 1, tzinfo=UTC))
    async with open_store(url) as store:
        await store.declare(SPEC)
        await store.insert("flights", record)

    async with open_store(url) as store:
        await store.declare(SPEC)
        assert await store.get("flights", "1") == record
    assert (tmp_path / "with space" / "state.db").exists()
