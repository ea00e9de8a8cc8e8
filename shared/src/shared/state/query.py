"""What every adapter makes of a query: checked against the declared indexes, paged by an opaque cursor."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar, overload

from pydantic_core import from_json
from typing_extensions import override

from shared.errors import InvalidInputError
from shared.state.port import Between, CollectionSpec, Json, OneOf, Order, OutboxEntry, Record, Scalar, Where

COLLECTION_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
FIELD_PATH = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*(\.[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*)*")
ID_BYTES_AT_MOST = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the last document's value of the sort field, and its id."""

    value: Scalar | None
    id: str


@dataclass(frozen=True, slots=True)
class Query:
    """A checked question to a collection."""

    spec: CollectionSpec
    where: Where
    order: Order

    def start(self, cursor: str | None) -> Position | None:
        """Return the position that ``cursor`` stands for.

        Raises:
            InvalidInputError: The cursor is another query's, or none of ours.
        """
        if cursor is None:
            return None
        try:
            digest, value, record_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        except (ValueError, TypeError) as error:
            raise InvalidInputError("not a cursor of this store", field="after", value=cursor) from error
        if digest != self._digest() or not isinstance(record_id, str):
            raise InvalidInputError("this cursor belongs to another query", field="after", value=cursor)
        return Position(value, record_id)

    def cursor(self, last: Record) -> str:
        """Return the cursor of the page behind ``last``."""
        value = field_value(last.body, self.order.field) if self.order.field else None
        return base64.urlsafe_b64encode(json.dumps([self._digest(), value, last.id]).encode()).decode()

    def _digest(self) -> str:
        conditions = sorted((name, repr(wanted)) for name, wanted in self.where.items())
        text = repr((self.spec.name, conditions, self.order))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Found(Sequence[Record], Generic[R]):
    """What was found, made into records as they are looked at: most of a search's cost is reading JSON."""

    def __init__(self, rows: Sequence[R], read: Callable[[R], Record]) -> None:
        self._rows = rows
        self._read = read

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...

    @override
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return Found(self._rows[index], self._read)
        return self._read(self._rows[index])

    @override
    def __len__(self) -> int:
        return len(self._rows)


class Catalogue:
    """The collections that were declared."""

    def __init__(self) -> None:
        self._specs: dict[str, CollectionSpec] = {}

    def add(self, specs: Iterable[CollectionSpec]) -> None:
        """Remember ``specs``.

        Raises:
            InvalidInputError: A name cannot be used in every backend.
        """
        for spec in specs:
            _check_names(spec)
            self._specs[spec.name] = spec

    def __getitem__(self, name: str) -> CollectionSpec:
        if name not in self._specs:
            raise InvalidInputError(f"collection {name} was not declared", field="collection", value=name)
        return self._specs[name]

    def query(self, collection: str, where: Where, order: Order | None = None) -> Query:
        """Return a checked query.

        Raises:
            InvalidInputError: No declared index has all its fields, or a value is no scalar.
        """
        query = Query(self[collection], where, order or Order())
        fields = {name for name in (*where, query.order.field) if name not in (None, "id")}
        if fields and not any(fields <= set(index.fields) for index in query.spec.indexes):
            names = ", ".join(sorted(map(str, fields)))
            raise InvalidInputError(
                f"{collection}: declare an index that has {names} to search by", field=names
            )
        for name, wanted in where.items():
            _check_wanted(name, wanted)
        return query


def _check_names(spec: CollectionSpec) -> None:
    if not COLLECTION_NAME.fullmatch(spec.name) or spec.name.startswith(("sqlite_", "system")):
        raise InvalidInputError(
            "a collection's name is lower-case letters, digits and _", field="name", value=spec.name
        )
    for name in (name for index in spec.indexes for name in index.fields):
        if not FIELD_PATH.fullmatch(name) or name == "id":
            raise InvalidInputError(
                f"{spec.name}: cannot index the field {name!r}", field="fields", value=name
            )


def _check_wanted(name: str, wanted: Scalar | OneOf | Between) -> None:
    scalars: list[object]
    match wanted:
        case OneOf(values):
            scalars = list(values)
        case Between(low, high):
            scalars = [end for end in (low, high) if end is not None]
        case _:
            scalars = [wanted]
    for scalar in scalars:
        if not isinstance(scalar, str | int | float) or not _storable(scalar):
            raise InvalidInputError(f"cannot search {name} for {scalar!r}", field=name, value=scalar)


def _storable(scalar: Scalar) -> bool:
    if isinstance(scalar, str):
        return _is_unicode(scalar)
    return not isinstance(scalar, int) or -(2**63) <= scalar < 2**63


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_limit(limit: int) -> None:
    """Raise ``InvalidInputError`` unless ``limit`` asks for something."""
    if limit < 1:
        raise InvalidInputError("ask for one document at least", field="limit", value=limit)


def check_id(record_id: str) -> str:
    """Return ``record_id`` if every backend can keep it.

    Raises:
        InvalidInputError: It is empty, longer than 1000 bytes or no Unicode text.
    """
    if not record_id or not _is_unicode(record_id) or len(record_id.encode()) > ID_BYTES_AT_MOST:
        raise InvalidInputError("an id is 1 to 1000 bytes of text", field="id", value=record_id)
    return record_id


def field_value(body: Json, path: str) -> Scalar | None:
    """Return the scalar at the dotted ``path``, or None where there is none."""
    value: Any = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str | int | float) else None


def indexable(body: Json, path: str) -> Scalar | None:
    """Return what to index of the value at ``path``, where an index can hold it."""
    value = field_value(body, path)
    if value is None or (isinstance(value, str) and not _is_unicode(value)):
        return None
    return comparable(value)


def comparable(value: Scalar) -> Scalar:
    """Return ``value`` as SQLite compares it: true is 1, 1.0 is 1, more than 64 bits are a float."""
    if isinstance(value, str) or (isinstance(value, float) and not value.is_integer()):
        return value
    return int(value) if _storable(int(value)) else float(value)


def body_text(body: Json) -> str:
    """Return ``body`` as JSON, ASCII only, so that even lone surrogates survive any backend.

    Raises:
        InvalidInputError: It holds what JSON cannot say, such as NaN.
    """
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"not a JSON document: {error}", field="body") from error


def body_from(text: str) -> Json:
    """Return what ``body_text`` was made of."""
    body: Json
    try:
        body = from_json(text)
    except ValueError:  # lone surrogates or deep nesting, which only Python's own reader takes
        body = json.loads(text)
    return body


def entries_text(outbox: tuple[OutboxEntry, ...]) -> str | None:
    """Return the outbox as JSON, or None for an empty one."""
    return json.dumps([(entry.id, entry.type, entry.event) for entry in outbox]) if outbox else None


def entries_from(text: str | None) -> tuple[OutboxEntry, ...]:
    """Return what ``entries_text`` was made of."""
    return tuple(OutboxEntry(*entry) for entry in json.loads(text)) if text else ()


def to_us(moment: datetime) -> int:
    """Return ``moment``, which must be aware, in microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_us(moment_us: int) -> datetime:
    """Return the moment ``moment_us`` microseconds after 1970, in UTC."""
    return EPOCH + timedelta(microseconds=moment_us)
