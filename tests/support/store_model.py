"""What a document store must do, as simply as it can be said: a dictionary per collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.state.port import (
    AlreadyExistsError,
    Between,
    Claim,
    OneOf,
    Order,
    Record,
    RevisionError,
    Scalar,
    Where,
)


class StoreModel:
    """One collection, in memory, with one unique field."""

    def __init__(self, unique_field: str) -> None:
        self.records: dict[str, Record] = {}
        self._unique_field = unique_field

    def insert(self, record: Record) -> None:
        """Add ``record``."""
        if record.id in self.records:
            raise AlreadyExistsError(record.id)
        self._check_unique(record)
        self.records[record.id] = record

    def swap(self, record: Record) -> None:
        """Replace the record of the revision before."""
        self._check_revision(record.id, record.revision - 1)
        self._check_unique(record)
        self.records[record.id] = record

    def delete(self, record: Record) -> None:
        """Delete the record of this revision."""
        self._check_revision(record.id, record.revision)
        del self.records[record.id]

    def claim(self, claim: Claim) -> Record | None:
        """Lease the first free match."""
        for record in self.find(claim.where, claim.order):
            if record.lease is None or record.lease.until <= claim.now:
                taken = replace(record, revision=record.revision + 1, lease=claim.lease)
                self.records[record.id] = taken
                return taken
        return None

    def find(self, where: Where, order: Order) -> list[Record]:
        """Return all that match, in order."""
        found = [record for record in self.records.values() if _matches(record, where)]
        return sorted(found, key=lambda record: _sort_key(record, order), reverse=order.descending)

    def pending(self) -> set[str]:
        """Return ids of records with events."""
        return {record.id for record in self.records.values() if record.outbox}

    def purge_expired(self, now: datetime) -> int:
        """Delete what expired and has no events."""
        gone = [r for r in self.records.values() if r.expires_at and r.expires_at <= now and not r.outbox]
        for record in gone:
            del self.records[record.id]
        return len(gone)

    def _check_revision(self, record_id: str, revision: int) -> None:
        if record_id not in self.records or self.records[record_id].revision != revision:
            raise RevisionError(record_id)

    def _check_unique(self, record: Record) -> None:
        value = record.body.get(self._unique_field)
        others: Sequence[Record] = [other for other in self.records.values() if other.id != record.id]
        if value is not None and any(other.body.get(self._unique_field) == value for other in others):
            raise AlreadyExistsError(record.id)


def _matches(record: Record, where: Where) -> bool:
    return all(
        _holds(record.id if name == "id" else record.body.get(name), wanted) for name, wanted in where.items()
    )


def _holds(value: Any, wanted: Scalar | OneOf | Between) -> bool:
    match wanted:
        case OneOf(values):
            return value in values
        case Between(None, None):
            return True
        case Between(low, high):
            return value is not None and (low is None or value >= low) and (high is None or value < high)
        case scalar:
            return bool(value == scalar)


def _sort_key(record: Record, order: Order) -> tuple[Any, ...]:
    if order.field is None:
        return (record.id,)
    value = record.body.get(order.field)
    return (value is not None, value if value is not None else 0, record.id)
