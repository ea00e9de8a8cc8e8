"""Typed documents over a store: pydantic in, pydantic out, events and inbox in the same write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from shared.errors import ConflictError, DamagedError, NotFoundError
from shared.events import Event
from shared.state.carrying import carried
from shared.state.port import (
    AlreadyExistsError,
    Claim,
    CollectionSpec,
    Lease,
    Order,
    OutboxEntry,
    Record,
    RevisionError,
    Store,
    Where,
)

M = TypeVar("M", bound=BaseModel)

EACH_AT_ONCE = 100
"""Documents in memory of those that are iterated over."""
SEEN_AT_MOST = 64
"""Event keys remembered per document; more than any ladder of retries can interleave."""


@dataclass(frozen=True, slots=True)
class Document(Generic[M]):
    """A stored document and its typed body."""

    record: Record
    body: M

    @property
    def id(self) -> str:
        """Return the document's id."""
        return self.record.id


@dataclass(frozen=True, slots=True)
class Change(Generic[M]):
    """A new body and the events that tell of it."""

    body: M
    events: Sequence[Event[Any]] = ()
    release: bool = False
    """Give the lease back in the same write."""
    expires_at: datetime | None = None


def if_changed(change: Callable[[M], Change[M] | M]) -> Callable[[M], Change[M] | M | None]:
    """Return a change for ``Collection.update`` that writes nothing where the very same body comes back."""

    def changed(body: M) -> Change[M] | M | None:
        wanted = change(body)
        return None if (wanted.body if isinstance(wanted, Change) else wanted) is body else wanted

    return changed


@dataclass(frozen=True, slots=True)
class Documents(Generic[M]):
    """A page of documents and the cursor of the next (None: there is none)."""

    items: Sequence[Document[M]]
    cursor: str | None


class LeaseLostError(ConflictError):
    """Somebody else works on the document now."""


class Wake(Protocol):
    """Is called when events wait in an outbox, with their ids."""

    def __call__(self, *event_ids: str) -> None:
        """Have them told."""


class Collection(Generic[M]):
    """The documents of one kind."""

    def __init__(
        self, store: Store, spec: CollectionSpec, model: type[M], *, wake: Wake | None = None
    ) -> None:
        """Bind ``spec`` to ``model``; ``wake`` is called when events wait in an outbox."""
        self.store = store
        self.spec = spec
        self._model = model
        self._wake = wake

    async def insert(
        self,
        document_id: str,
        body: M,
        *,
        events: Sequence[Event[Any]] = (),
        seen: Event[Any] | None = None,
        expires_at: datetime | None = None,
    ) -> Document[M]:
        """Add a document.

        Raises:
            AlreadyExistsError: Its id or a unique value is taken.
        """
        record = Record(
            id=document_id,
            body=body.model_dump(mode="json"),
            outbox=tuple(map(_entry, events)),
            seen=(seen.key,) if seen else (),
            expires_at=expires_at,
        )
        await self.store.insert(self.spec.name, record)
        self._woken(events)
        return Document(record, body)

    async def ensure(
        self,
        document_id: str,
        body: M,
        *,
        events: Sequence[Event[Any]] = (),
        seen: Event[Any] | None = None,
    ) -> tuple[Document[M], bool]:
        """Return the document and whether this call made it; ``body`` counts only then."""
        try:
            return await self.insert(document_id, body, events=events, seen=seen), True
        except AlreadyExistsError:
            return await self.load(document_id), False

    async def get(self, document_id: str) -> Document[M] | None:
        """Return the document, or None."""
        record = await self.store.get(self.spec.name, document_id)
        return self.typed(record) if record else None

    async def load(self, document_id: str) -> Document[M]:
        """Return the document.

        Raises:
            NotFoundError: There is none.
        """
        document = await self.get(document_id)
        if document is None:
            raise NotFoundError(f"{self.spec.name}: there is no {document_id}")
        return document

    async def update(
        self,
        document_id: str,
        change: Callable[[M], Change[M] | M | None],
        *,
        seen: Event[Any] | None = None,
        owner: str | None = None,
    ) -> Document[M]:
        """Change a document, again from its newest state whenever somebody else was faster.

        Args:
            document_id: Which.
            change: Body to new body, or to a ``Change``; None leaves the document as it is. Called again on
                a conflict, so it must not have effects of its own.
            seen: The event being handled; if the document has seen it, nothing is done.
            owner: Only while this owner holds the lease.

        Raises:
            NotFoundError: There is no such document.
            LeaseLostError: ``owner`` does not hold the lease any more.
        """
        while True:
            current = await self.load(document_id)
            if seen is not None and seen.key in current.record.seen:
                return current
            _check_lease(current.record, owner)
            wanted = change(current.body)
            if wanted is None:
                return current
            try:
                return await self._swap(current, wanted, seen)
            except RevisionError:
                continue

    async def claim(
        self, where: Where, *, owner: str, hold: timedelta, order: Order | None = None
    ) -> Document[M] | None:
        """Lease the first matching document that nobody works on, or return None."""
        now = datetime.now(UTC)
        claim = Claim(where, Lease(owner, now + hold), now, order or Order())
        record = await self.store.claim(self.spec.name, claim)
        return self.typed(record) if record else None

    async def renew(self, document_id: str, *, owner: str, hold: timedelta) -> None:
        """Hold the lease for ``hold`` from now.

        Raises:
            LeaseLostError: ``owner`` does not hold the lease any more.
        """
        await self._with_lease(document_id, owner, Lease(owner, datetime.now(UTC) + hold))

    async def release(self, document_id: str, *, owner: str) -> None:
        """Give the lease back, so that another may work on the document.

        Raises:
            LeaseLostError: ``owner`` does not hold the lease any more.
        """
        await self._with_lease(document_id, owner, None)

    async def find(
        self, where: Where, *, order: Order | None = None, limit: int = 100, after: str | None = None
    ) -> Documents[M]:
        """Return a page of matching documents; ``after`` is the cursor of the page before."""
        page = await self.store.find(self.spec.name, where, order=order, limit=limit, after=after)
        return Documents([self.typed(record) for record in page.records], page.cursor)

    async def each(self, where: Where, *, order: Order | None = None) -> AsyncIterator[Document[M]]:
        """Iterate over all matching documents, read page by page."""
        cursor: str | None = None
        while True:
            page = await self.find(where, order=order, limit=EACH_AT_ONCE, after=cursor)
            for document in page.items:
                yield document
            cursor = page.cursor
            if cursor is None:
                return

    async def count(self, where: Where) -> int:
        """Return how many documents match."""
        return await self.store.count(self.spec.name, where)

    async def delete(self, document: Document[M]) -> None:
        """Delete the document as it was read.

        Raises:
            RevisionError: It was changed since, or is gone.
        """
        await self.store.delete(self.spec.name, document.record)

    def typed(self, record: Record) -> Document[M]:
        """Return the document that a record of this collection holds.

        Raises:
            DamagedError: It is of another form.
        """
        try:
            return Document(record, self._model.model_validate(record.body))
        except ValidationError as error:
            raise DamagedError(
                f"{self.spec.name}/{record.id} is not a {self._model.__name__}: {error.errors()[0]['msg']} at"
                f" {error.errors()[0]['loc']}; was it written by a newer release?"
            ) from error

    async def _swap(
        self, current: Document[M], wanted: Change[M] | M, seen: Event[Any] | None
    ) -> Document[M]:
        change = wanted if isinstance(wanted, Change) else Change(wanted)
        old = current.record
        record = replace(
            old,
            body=carried(old.body, current.body.model_dump(mode="json"), change.body.model_dump(mode="json")),
            revision=old.revision + 1,
            outbox=old.outbox + tuple(map(_entry, change.events)),
            seen=(*old.seen, seen.key)[-SEEN_AT_MOST:] if seen else old.seen,
            lease=None if change.release else old.lease,
            expires_at=change.expires_at or old.expires_at,
        )
        await self.store.swap(self.spec.name, record)
        self._woken(change.events)
        return Document(record, change.body)

    async def _with_lease(self, document_id: str, owner: str, lease: Lease | None) -> None:
        while True:
            record = (await self.load(document_id)).record
            _check_lease(record, owner)
            try:
                await self.store.swap(
                    self.spec.name, replace(record, revision=record.revision + 1, lease=lease)
                )
            except RevisionError:
                continue
            return

    def _woken(self, events: Sequence[Event[Any]]) -> None:
        if events and self._wake:
            self._wake(*(event.id for event in events))


def _entry(event: Event[Any]) -> OutboxEntry:
    return OutboxEntry(event.id, event.type, event.to_bytes().decode())


def _check_lease(record: Record, owner: str | None) -> None:
    if owner is not None and (record.lease is None or record.lease.owner != owner):
        holder = record.lease.owner if record.lease else "nobody"
        raise LeaseLostError(f"{record.id} is held by {holder}, not by {owner}")
