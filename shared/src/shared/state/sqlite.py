"""The document store in one SQLite file: a table per collection, an expression index per declared index.

Times are microseconds since 1970. A field that is missing, null or no scalar is found by nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from shared.errors import ConflictError
from shared.sqlite import Database
from shared.state.metrics import note_taken
from shared.state.port import (
    AlreadyExistsError,
    Claim,
    CollectionSpec,
    Lease,
    OneOf,
    Order,
    Page,
    Record,
    RevisionError,
    Where,
)
from shared.state.query import (
    Catalogue,
    Found,
    Position,
    Query,
    body_from,
    body_text,
    check_id,
    check_limit,
    entries_from,
    entries_text,
    from_us,
    to_us,
)
from shared.state.sql import COLUMNS, Condition, Part, matching, parts, rows_sql, select_sql, table_sql

UNHELD = "(lease_until IS NULL OR lease_until <= ?)"


class SqliteStore:
    """The store in ``database``; any number of processes may share the file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._declared = Catalogue()

    async def declare(self, *collections: CollectionSpec) -> None:
        """Make collections and indexes that are missing; harmless when repeated, safe when raced."""
        self._declared.add(collections)
        for spec in collections:
            await self._database.write(partial(_declare, spec))

    async def insert(self, collection: str, record: Record) -> None:
        """Add ``record``.

        Raises:
            AlreadyExistsError: Its id or a unique value is taken.
        """
        table = self._declared[collection].name
        values = _values(record)
        await self._database.write(lambda connection: _insert(connection, table, values))

    async def get(self, collection: str, record_id: str) -> Record | None:
        """Return the document, or None."""
        sql = f'SELECT {COLUMNS} FROM "{self._declared[collection].name}" WHERE id = ?'  # noqa: S608 - checked name
        check_id(record_id)
        row = await self._database.look_up(
            lambda connection: connection.execute(sql, (record_id,)).fetchone()
        )
        return _record(row) if row else None

    async def swap(self, collection: str, record: Record) -> None:
        """Replace the stored document by ``record`` if it still has revision ``record.revision - 1``.

        Raises:
            RevisionError: It has another revision, or is gone.
            AlreadyExistsError: A unique value is taken.
        """
        table = self._declared[collection].name
        values = _values(record)
        await self._database.write(lambda connection: _swap(connection, table, values))

    async def claim(self, collection: str, claim: Claim) -> Record | None:
        """Lease the first matching document that nobody holds a live lease on; None: there is none."""
        query = self._declared.query(collection, claim.where, claim.order)
        if not await self._has(collection, matching(query.where) & _unheld(claim.now)):
            return None
        return await self._database.write(lambda connection: _claim(connection, query, claim))

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        order: Order | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page:
        """Return a page of matching documents; ``after`` is the cursor of the page before.

        Raises:
            InvalidInputError: ``where`` or ``order`` fit no declared index, or the cursor is another query's.
        """
        query = self._declared.query(collection, where, order)
        start = query.start(after)
        check_limit(limit)
        rows = await self._database.read(lambda connection: _rows(connection, query, start, limit + 1))
        found = Found(rows[:limit], _record)
        versions = [(row[0], row[1]) for row in rows[:limit]]
        return Page(found, query.cursor(found[-1]) if len(rows) > limit else None, versions)

    async def count(self, collection: str, where: Where) -> int:
        """Return how many documents match."""
        query = self._declared.query(collection, where)
        condition = matching(query.where)
        sql = f'SELECT count(*) FROM "{query.spec.name}" WHERE {condition.sql}'  # noqa: S608 - checked names
        row = await self._database.read(
            lambda connection: connection.execute(sql, condition.values).fetchone()
        )
        return int(row[0])

    async def delete(self, collection: str, record: Record) -> None:
        """Delete the document if it still has ``record.revision``.

        Raises:
            RevisionError: It has another revision, or is gone.
        """
        sql = f'DELETE FROM "{self._declared[collection].name}" WHERE id = ? AND revision = ?'  # noqa: S608
        await self._database.write(
            lambda connection: _expect_one(connection.execute(sql, (record.id, record.revision)), record.id)
        )

    async def pending(self, collection: str, limit: int = 100) -> Sequence[Record]:
        """Return documents whose outbox is not empty, those that wait longest first."""
        sql = (
            f'SELECT {COLUMNS} FROM "{self._declared[collection].name}"'  # noqa: S608 - checked name
            " WHERE outbox_since IS NOT NULL ORDER BY outbox_since LIMIT ?"
        )
        if not await self._has(collection, Condition("outbox_since IS NOT NULL")):
            return []
        rows = await self._database.read(lambda connection: connection.execute(sql, (limit,)).fetchall())
        return [_record(row) for row in rows]

    async def purge_expired(self, collection: str, now: datetime) -> int:
        """Delete documents whose time is over and whose outbox is empty; return how many."""
        expired = Condition("expires_at <= ? AND outbox_since IS NULL", (to_us(now),))
        if not await self._has(collection, expired):
            return 0
        sql = f'DELETE FROM "{collection}" WHERE {expired.sql}'  # noqa: S608 - checked name
        return await self._database.write(lambda connection: connection.execute(sql, expired.values).rowcount)

    async def ping(self) -> None:
        """Return if the store answers."""
        await self._database.read(lambda connection: connection.execute("SELECT 1").fetchone())

    async def _has(self, collection: str, condition: Condition) -> bool:
        """Return whether there is such a document; many ask every second in vain, so it has to be cheap."""
        sql = f'SELECT 1 FROM "{self._declared[collection].name}" WHERE {condition.sql} LIMIT 1'  # noqa: S608
        found = await self._database.look_up(
            lambda connection: connection.execute(sql, condition.values).fetchone()
        )
        return found is not None


def _declare(spec: CollectionSpec, connection: sqlite3.Connection) -> None:
    try:
        for statement in table_sql(spec):
            connection.execute(statement)
    except sqlite3.IntegrityError as error:
        raise ConflictError(
            f"{spec.name}: stored documents contradict a new unique index: {error}"
        ) from error


def _values(record: Record) -> dict[str, Any]:
    return {
        "id": check_id(record.id),
        "revision": record.revision,
        "body": body_text(record.body),
        "outbox": entries_text(record.outbox),
        "since": to_us(datetime.now(UTC)) if record.outbox else None,
        "seen": json.dumps(record.seen) if record.seen else None,
        "owner": record.lease.owner if record.lease else None,
        "until": to_us(record.lease.until) if record.lease else None,
        "expires_at": to_us(record.expires_at) if record.expires_at else None,
    }


def _record(row: tuple[Any, ...]) -> Record:
    record_id, revision, body, outbox, seen, owner, until, expires_at = row
    return Record(
        record_id,
        body_from(body),
        revision,
        entries_from(outbox),
        tuple(json.loads(seen)) if seen else (),
        Lease(owner, from_us(until)) if owner is not None else None,
        from_us(expires_at) if expires_at is not None else None,
    )


def _insert(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    sql = (
        f'INSERT INTO "{table}" VALUES'  # noqa: S608 - checked name
        " (:id, :revision, :body, :outbox, :since, :seen, :owner, :until, :expires_at)"
    )
    with _taken(table, values["id"]):
        connection.execute(sql, values)


def _swap(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    sql = (
        f'UPDATE "{table}" SET revision = :revision, body = :body, outbox = :outbox, seen = :seen,'  # noqa: S608
        " outbox_since = CASE WHEN :outbox IS NULL THEN NULL ELSE coalesce(outbox_since, :since) END,"
        " lease_owner = :owner, lease_until = :until, expires_at = :expires_at"
        " WHERE id = :id AND revision = :revision - 1"
    )
    with _taken(table, values["id"]):
        changed = connection.execute(sql, values)
    _expect_one(changed, values["id"])


class _taken:  # noqa: N801 - reads as a clause of a with statement
    """Turns a violated uniqueness into ``AlreadyExistsError``."""

    def __init__(self, table: str, record_id: str) -> None:
        self._table, self._id = table, record_id

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.IntegrityError):
            raise AlreadyExistsError(f"{self._table}: {self._id} or a unique value of it is taken") from error


def _expect_one(changed: sqlite3.Cursor, record_id: str) -> None:
    if changed.rowcount != 1:
        raise RevisionError(f"{record_id} was changed or deleted by somebody else")


def _rows(
    connection: sqlite3.Connection, query: Query, start: Position | None, limit: int
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    select = _select_sorted if _is_gathered(query) else _select
    for part in parts(query, start):
        if len(rows) < limit:
            rows += select(connection, query, part, limit - len(rows))
    return rows


def _is_gathered(query: Query) -> bool:
    """Return whether documents come from several places of an index, and have to be sorted."""
    return any(isinstance(wanted, OneOf) for wanted in query.where.values())


def _select_sorted(
    connection: sqlite3.Connection, query: Query, part: Part, limit: int
) -> list[tuple[Any, ...]]:
    """Read as ``_select`` does, but sort before the documents are read: SQLite would sort whole documents."""
    found = connection.execute(select_sql(query, part, "rowid"), (*part.condition.values, limit))
    wanted = [row_id for (row_id,) in found]
    sql = rows_sql(query.spec.name)
    rows = {row[0]: row[1:] for row in connection.execute(sql, (json.dumps(wanted),))}
    return [rows[row_id] for row_id in wanted]


def _select(
    connection: sqlite3.Connection, query: Query, part: Part, limit: int
) -> Iterator[tuple[Any, ...]]:
    return connection.execute(select_sql(query, part), (*part.condition.values, limit))


def claimable(query: Query, now: datetime) -> Part:
    """Return the documents of ``query`` that nobody holds at ``now``."""
    (part,) = parts(query, None)
    return replace(part, condition=part.condition & _unheld(now))


def _unheld(now: datetime) -> Condition:
    return Condition(UNHELD, (to_us(now),))


def _claim(connection: sqlite3.Connection, query: Query, claim: Claim) -> Record | None:
    row = next(iter(_select(connection, query, claimable(query, claim.now), 1)), None)
    if row is None:
        return None
    found = _record(row)
    note_taken(query.spec.name, found)
    connection.execute(
        f'UPDATE "{query.spec.name}" SET revision = revision + 1, lease_owner = ?, lease_until = ?'  # noqa: S608
        " WHERE id = ?",
        (claim.lease.owner, to_us(claim.lease.until), found.id),
    )
    return replace(found, revision=found.revision + 1, lease=claim.lease)
