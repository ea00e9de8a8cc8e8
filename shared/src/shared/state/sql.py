"""SQL of the SQLite store: tables, expression indexes, conditions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shared.state.port import Between, CollectionSpec, Index, OneOf, Scalar, Where
from shared.state.query import Position, Query

COLUMNS = "id, revision, body, outbox, seen, lease_owner, lease_until, expires_at"


@dataclass(frozen=True, slots=True)
class Condition:
    """A boolean SQL expression and its parameters."""

    sql: str
    values: tuple[Scalar, ...] = ()

    def __and__(self, other: Condition) -> Condition:
        return Condition(f"{self.sql} AND {other.sql}", self.values + other.values)


@dataclass(frozen=True, slots=True)
class Part:
    """Documents that one index scan finds, and their order."""

    condition: Condition
    order: str


def table_sql(spec: CollectionSpec) -> Iterator[str]:
    """Yield the statements that make what is missing of a collection."""
    table = spec.name
    yield (
        f'CREATE TABLE IF NOT EXISTS "{table}" (id TEXT PRIMARY KEY NOT NULL, revision INTEGER NOT NULL,'
        " body TEXT NOT NULL, outbox TEXT, outbox_since INTEGER, seen TEXT, lease_owner TEXT,"
        " lease_until INTEGER, expires_at INTEGER)"
    )
    for column in ("outbox_since", "expires_at"):
        yield (
            f'CREATE INDEX IF NOT EXISTS "{table} {column}" ON "{table}" ({column})'
            f" WHERE {column} IS NOT NULL"
        )
    for index in spec.indexes:
        yield _index_sql(table, index)


def _index_sql(table: str, index: Index) -> str:
    columns = [expression(name) for name in index.fields]
    if not index.unique:
        columns.append("id")  # pages are sorted by (field, id)
    kind = "UNIQUE INDEX" if index.unique else "INDEX"
    name = f"{table} {kind.lower()} {' '.join(index.fields)}"
    return f'CREATE {kind} IF NOT EXISTS "{name}" ON "{table}" ({", ".join(columns)})'


def expression(name: str | None) -> str:
    """Return the expression of a body's field, letter by letter as the index has it; None is the id."""
    return "id" if name in (None, "id") else f"json_extract(body, '$.{name}')"


def matching(where: Where) -> Condition:
    """Return the condition that ``where`` stands for."""
    condition = Condition("TRUE")
    for name, wanted in where.items():
        condition &= _holds(expression(name), wanted)
    return condition


def _holds(field: str, wanted: Scalar | OneOf | Between) -> Condition:
    match wanted:
        case OneOf(values):
            return Condition(f"{field} IN ({', '.join('?' * len(values))})", values)
        case Between(low, high):
            condition = Condition("TRUE")
            if low is not None:
                condition &= Condition(f"{field} >= ?", (low,))
            if high is not None:
                condition &= Condition(f"{field} < ?", (high,))
            return condition
        case scalar:
            return Condition(f"{field} = ?", (scalar,))


def select_sql(query: Query, part: Part, columns: str = COLUMNS) -> str:
    """Return the statement that reads the first documents of a part of ``query``."""
    return (
        f'SELECT {columns} FROM "{query.spec.name}" WHERE {part.condition.sql} ORDER BY {part.order} LIMIT ?'  # noqa: S608 - checked names
    )


def rows_sql(table: str) -> str:
    """Return the statement that reads documents by a JSON list of their rows, each behind its row."""
    return f'SELECT rowid, {COLUMNS} FROM "{table}" WHERE rowid IN (SELECT value FROM json_each(?))'  # noqa: S608 - a checked name


def parts(query: Query, position: Position | None) -> list[Part]:
    """Return what follows ``position``, in parts to be read one after the other.

    Documents without the sort field come before all others. They are a part of their own, because one
    condition for both would make SQLite read the index from its beginning.
    """
    direction = "DESC" if query.order.descending else "ASC"
    field, wanted, by_id = expression(query.order.field), matching(query.where), f"id {direction}"
    by_field = by_id if field == "id" else f"{field} {direction}, id {direction}"
    if position is None:
        return [Part(wanted, by_field)]
    sign = "<" if query.order.descending else ">"
    behind_id = Condition(f"id {sign} ?", (position.id,))
    if field == "id":
        return [Part(wanted & behind_id, by_id)]
    missing, value = wanted & Condition(f"{field} IS NULL"), position.value
    if value is None:
        here, rest = (
            Part(missing & behind_id, by_id),
            Part(wanted & Condition(f"{field} IS NOT NULL"), by_field),
        )
    else:
        reached = Condition(
            f"{field} {sign}= ? AND ({field} {sign} ? OR id {sign} ?)", (value, value, position.id)
        )
        here, rest = Part(wanted & reached, by_field), Part(missing, by_id)
    required = query.where.get(query.order.field or "", Between()) != Between()
    more = (value is None) != query.order.descending and not required
    return [here, rest] if more else [here]
