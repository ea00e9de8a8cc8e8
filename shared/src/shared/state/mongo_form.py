"""The form of documents and conditions in MongoDB.

A document is kept as ``{_id, revision, body, index, unique, …}``: ``body`` and ``outbox`` are JSON texts, so
that every value and every key (with dots, with dollars) survives exactly; ``index`` repeats the scalars of
the declared indexes, by which documents are found; ``unique`` repeats each unique combination as one text,
whose sparse index lets documents without the fields be. ``indexed_as`` names the indexes it was written
under: ``declare`` goes over documents that a release with other indexes wrote. Times are microseconds since
1970, because BSON dates keep milliseconds only. There are no transactions and no changes of parts of arrays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from shared.state.port import Between, CollectionSpec, Index, Lease, OneOf, Record, Scalar, Where
from shared.state.query import (
    Position,
    Query,
    body_from,
    body_text,
    check_id,
    comparable,
    entries_from,
    entries_text,
    from_us,
    indexable,
    to_us,
)

Bson = dict[str, Any]

INDEXED_ID = "index.id"
"""The id again: nx-27017 cannot have ``_id`` in an index of several fields, and no field is called ``id``."""


def to_document(spec: CollectionSpec, record: Record) -> Bson:
    """Return ``record`` as it is stored; what is None is left out."""
    document = {
        "_id": check_id(record.id),
        "revision": record.revision,
        "body": body_text(record.body),
        "outbox": entries_text(record.outbox),
        "seen": list(record.seen),
        "lease_owner": record.lease.owner if record.lease else None,
        "lease_until": to_us(record.lease.until) if record.lease else 0,
        "expires_at": to_us(record.expires_at) if record.expires_at else None,
        **indexed(spec, record.id, record.body),
    }
    return {name: value for name, value in document.items() if value is not None}


def to_update(document: Bson) -> Bson:
    """Return the update that makes a stored document ``document``."""
    gone = {name: "" for name in ("outbox", "lease_owner", "expires_at") if name not in document}
    update = {"$set": {name: value for name, value in document.items() if name != "_id"}}
    if "outbox" in document:
        update["$min"] = {"outbox_since": to_us(datetime.now(UTC))}  # since the first that still waits
    else:
        gone["outbox_since"] = ""
    return {**update, "$unset": gone} if gone else update


def to_record(document: Mapping[str, Any]) -> Record:
    """Return what ``to_document`` was made of."""
    owner, expires_at = document.get("lease_owner"), document.get("expires_at")
    return Record(
        document["_id"],
        body_from(document["body"]),
        document["revision"],
        entries_from(document.get("outbox")),
        tuple(document["seen"]),
        Lease(owner, from_us(document["lease_until"])) if owner is not None else None,
        from_us(expires_at) if expires_at is not None else None,
    )


def indexed(spec: CollectionSpec, record_id: str, body: Bson) -> Bson:
    """Return what is stored of ``body`` to find it by."""
    names = {name for index in spec.indexes for name in index.fields}
    values = {name: value for name in names if (value := indexable(body, name)) is not None}
    unique = {
        unique_name(index): json.dumps([values[name] for name in index.fields])
        for index in spec.indexes
        if index.unique and all(name in values for name in index.fields)
    }
    index = {flat(name): value for name, value in values.items()}
    return {"index": {**index, "id": record_id}, "unique": unique, "indexed_as": tag(spec)}


def tag(spec: CollectionSpec) -> str:
    """Return what tells this set of indexes from others."""
    indexes = sorted((index.fields, index.unique) for index in spec.indexes)
    return hashlib.sha256(repr(indexes).encode()).hexdigest()[:16]


def flat(path: str) -> str:
    """Return the name that the field ``path`` has in ``index``."""
    return path.replace(".", "__")  # no field has two underscores in a row: see FIELD_PATH


def unique_name(index: Index) -> str:
    """Return the name that the fields of ``index`` together have in ``unique``."""
    return "___".join(map(flat, index.fields))


def _key(name: str | None) -> str:
    return "_id" if name in (None, "id") else f"index.{flat(str(name))}"


def matching_all(conditions: Iterable[Bson]) -> Bson:
    """Return the condition that all ``conditions`` hold; where it is flat, nx-27017 is far quicker."""
    conditions = list(conditions)
    flat_one = {key: wanted for condition in conditions for key, wanted in condition.items()}
    return flat_one if len(flat_one) == sum(map(len, conditions)) else {"$and": conditions}


def matching(where: Where) -> Iterator[Bson]:
    """Yield the conditions that ``where`` stands for."""
    for name, wanted in where.items():
        condition = _condition(wanted)
        if condition is not None:
            yield {_key(name): condition}


def _condition(wanted: Scalar | OneOf | Between) -> object:
    match wanted:
        case OneOf(values):
            return {"$in": [comparable(value) for value in values]}
        case Between(None, None):
            return None
        case Between(low, high):
            ends = {"$gte": low, "$lt": high}
            return {operator: comparable(end) for operator, end in ends.items() if end is not None}
        case scalar:
            return comparable(scalar)


def sort_keys(query: Query) -> list[tuple[str, int]]:
    """Return keys and directions; documents without the field sort before all others."""
    direction = -1 if query.order.descending else 1
    key = _key(query.order.field)
    return [("_id", direction)] if key == "_id" else [(key, direction), (INDEXED_ID, direction)]


def behind(query: Query, position: Position | None) -> list[list[Bson]]:
    """Return conditions of what follows ``position``, to be asked one after the other."""
    if position is None:
        return [[]]
    key, operator = _key(query.order.field), "$lt" if query.order.descending else "$gt"
    if key == "_id":
        return [[{"_id": {operator: position.id}}]]
    behind_id = {INDEXED_ID: {operator: position.id}}
    missing, present = {key: {"$exists": False}}, {key: {"$exists": True}}
    if position.value is None:
        return [[missing, behind_id]] if query.order.descending else [[missing, behind_id], [present]]
    value = comparable(position.value)
    here: list[Bson] = [{key: {f"{operator}e": value}}, {"$or": [{key: {operator: value}}, behind_id]}]
    return [here, [missing]] if query.order.descending else [here]
