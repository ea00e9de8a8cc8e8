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


def order_by(query: Query) -> str:
    """Return the ORDER BY clause; documents without the field sort before all others."""
    direction = "DESC" if query.order.descending else "ASC"
    field = expression(query.order.field)
    return f"ORDER BY id {direction}" if field == "id" else f"ORDER BY {field} {direction}, id {direction}"


def behind(query: Query, position: Position | None) -> list[Condition]:
    """Return conditions of what follows ``position``, to be asked one after the other.

    They are apart because one condition for both, documents with and without the field, would make SQLite
    read the index from its beginning.
    """
    if position is None:
        return [Condition("TRUE")]
    field, sign = expression(query.order.field), "<" if query.order.descending else ">"
    behind_id = Condition(f"id {sign} ?", (position.id,))
    if field == "id":
        return [behind_id]
    missing, present = Condition(f"{field} IS NULL"), Condition(f"{field} IS NOT NULL")
    if position.value is None:
        return [missing & behind_id] if query.order.descending else [missing & behind_id, present]
    value = position.value
    same_or_behind = Condition(f"{field} {sign}= ?", (value,))
    strictly = Condition(f"({field} {sign} ? OR id {sign} ?)", (value, position.id))
    return [same_or_behind & strictly, missing] if query.order.descending else [same_or_behind & strictly]
