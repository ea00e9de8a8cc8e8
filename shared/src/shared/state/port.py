"""The store of versioned documents: what an adapter must do, and no more.

A document is JSON with a revision. Every change is a compare-and-swap of the whole document, so that a
state change, the events that it causes (``outbox``), what was handled (``seen``) and who works on it
(``lease``) are one write. An acknowledged write is on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from shared.errors import ConflictError

Json = dict[str, Any]
Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Index:
    """Fields of the body, dotted where nested, by which documents are found together."""

    fields: tuple[str, ...]
    unique: bool = False


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """A collection's name and the only ways to search it."""

    name: str
    indexes: tuple[Index, ...] = ()


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An event that was decided on and still has to be published."""

    id: str
    type: str
    event: str
    """The whole event as structured-mode JSON."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on the document, and until when nobody else may."""

    owner: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """One stored document."""

    id: str
    body: Json
    revision: int = 1
    outbox: tuple[OutboxEntry, ...] = ()
    seen: tuple[str, ...] = ()
    """Keys of the last events that changed this document, newest last."""
    lease: Lease | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OneOf:
    """Matches any of ``values``."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """Matches ``low <= value < high``; an end that is None is open."""

    low: Scalar | None = None
    high: Scalar | None = None


Where = Mapping[str, Scalar | OneOf | Between]
"""Field to what it must be; all must hold. Every field is in one declared index, or is ``id``."""


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by one field of the body (None: by id), then by id, so that pages neither overlap nor skip."""

    field: str | None = None
    descending: bool = False

    @classmethod
    def named(cls, sort: str) -> Order:
        """Return what clients write as a field, with - in front of it for the largest first."""
        return cls(sort.removeprefix("-"), descending=sort.startswith("-"))


@dataclass(frozen=True, slots=True)
class Page:
    """Some records and where the next ones begin (None: there are no more)."""

    records: Sequence[Record]
    """Each is made of what was read whenever it is looked at."""
    cursor: str | None
    versions: Sequence[tuple[str, int]]
    """Id and revision of each."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Which document to take, and the lease it then gets."""

    where: Where
    lease: Lease
    now: datetime
    order: Order = field(default_factory=Order)


class AlreadyExistsError(ConflictError):
    """A document with this id, or with this value of a unique index, is there."""


class RevisionError(ConflictError):
    """Somebody else changed or deleted the document since it was read."""


class Store(Protocol):
    """Where documents live.

    Every method may raise ``TransientError`` (store unreachable or busy; the outcome of a write is then
    unknown) and ``StorageFullError`` (nothing written).
    """

    async def declare(self, *collections: CollectionSpec) -> None:
        """Make collections and indexes that are missing; harmless when repeated, safe when raced."""

    async def insert(self, collection: str, record: Record) -> None:
        """Add ``record``.

        Raises:
            AlreadyExistsError: Its id or a unique value is taken.
        """

    async def get(self, collection: str, record_id: str) -> Record | None:
        """Return the document, or None."""

    async def swap(self, collection: str, record: Record) -> None:
        """Replace the stored document by ``record`` if it still has revision ``record.revision - 1``.

        Raises:
            RevisionError: It has another revision, or is gone.
            AlreadyExistsError: A unique value is taken.
        """

    async def claim(self, collection: str, claim: Claim) -> Record | None:
        """Lease the first matching document that nobody holds a live lease on; None: there is none.

        The returned record carries the new lease and revision. Two callers never get the same one.
        """

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

    async def count(self, collection: str, where: Where) -> int:
        """Return how many documents match."""

    async def delete(self, collection: str, record: Record) -> None:
        """Delete the document if it still has ``record.revision``.

        Raises:
            RevisionError: It has another revision, or is gone.
        """

    async def pending(self, collection: str, limit: int = 100) -> Sequence[Record]:
        """Return documents whose outbox is not empty, those that wait longest first."""

    async def purge_expired(self, collection: str, now: datetime) -> int:
        """Delete documents whose time is over and whose outbox is empty; return how many."""

    async def ping(self) -> None:
        """Return if the store answers."""
