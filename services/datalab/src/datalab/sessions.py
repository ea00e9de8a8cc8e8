"""Sessions and what is in them, in the document store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from datalab.clock import now_us
from datalab.domain.asked import AskedOperation, operation_id
from datalab.domain.sessions import DataSession, session_id, too_large, with_items
from datalab.numbers import Numbers
from datalab.wire.errors import RefusedError, missing
from shared.errors import NotFoundError
from shared.state import Between, Collection, OneOf, Order, Where

ACCESSED_EVERY_US = 60 * 1_000_000
"""How exactly it is known when a session was read last: not each poll is a write."""
SESSIONS_AT_ONCE = 500
"""Documents of one question to the store."""
OLDEST_FIRST = Order("number")
NEWEST_FIRST = Order("modified_us", descending=True)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sessions are wanted; None: any."""

    owner: str | None = None
    name: str | None = None
    """Any part of it, in letters of either case."""
    name_exact: str | None = None
    created: Between | None = None
    modified: Between | None = None

    @property
    def where(self) -> Where:
        """Return what the store can look for."""
        wanted = {
            "owner": self.owner,
            "name": self.name_exact,
            "created_us": self.created,
            "modified_us": self.modified,
        }
        return {"removing": False, **{name: value for name, value in wanted.items() if value is not None}}

    def suits(self, body: Mapping[str, Any]) -> bool:
        """Return whether a stored session is one of those, as far as the store could not tell."""
        return self.name is None or self.name.lower() in body["name"].lower()


@dataclass(slots=True)
class Sessions:
    """The sessions of all users; every question says whose are meant."""

    documents: Collection[DataSession]
    asked: Collection[AskedOperation]
    numbers: Numbers
    at_most: int
    """Sessions of a user."""
    removed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is something to clear away."""

    async def create(
        self, owner: str, name: str, items: Sequence[Any], *, flight: str | None = None
    ) -> DataSession:
        """Make a session.

        Raises:
            RefusedError: The user has too many, or it is too large.
        """
        if await self.documents.count({"owner": owner, "removing": False}) >= self.at_most:
            raise RefusedError(f"You have {self.at_most} sessions: delete some first.", status=429)
        now = now_us()
        session = DataSession(
            number=await self.numbers.next("session"),
            owner=owner,
            name=name,
            created_us=now,
            modified_us=now,
            accessed_us=now,
            flight=flight,
        )
        session = _checked(with_items(session, items, now))
        return (await self.documents.insert(session.document_id, session)).body

    async def of(self, owner: str, number: int) -> DataSession:
        """Return a user's session.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
        """
        document = await self.documents.get(session_id(number))
        if document is None or document.body.owner != owner or document.body.removing:
            raise missing("DataSession")
        return document.body

    async def read(self, owner: str, number: int) -> DataSession:
        """Return a user's session, and note that it was read.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
        """
        session, now = await self.of(owner, number), now_us()
        if now - session.accessed_us < ACCESSED_EVERY_US:
            return session
        return await self._changed(session, {"accessed_us": now})

    async def change(
        self, owner: str, number: int, *, name: str | None, items: Sequence[Any] | None
    ) -> DataSession:
        """Give a session another name and further input data.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
            RefusedError: It becomes too large.
        """
        session, now = await self.of(owner, number), now_us()

        def changed(old: DataSession) -> DataSession:
            new = old.model_copy(update={"accessed_us": now} | ({"name": name} if name else {}))
            return _checked(with_items(new, items or (), now))

        return (await self.documents.update(session.document_id, changed)).body

    async def touch(self, session: DataSession) -> None:
        """Note that there is something new in a session."""
        with suppress(NotFoundError):
            await self._changed(session, {"modified_us": now_us()})

    async def remove(self, owner: str, number: int) -> None:
        """Take a session away; what is in it goes soon after.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
        """
        await self._changed(await self.of(owner, number), {"removing": True})
        self.removed.set()

    async def for_flight(self, owner: str, flight: str, name: str, items: Sequence[Any]) -> DataSession:
        """Return the session of a flight, made or extended by ``items``."""
        found = await self.documents.find({"flight": flight, "owner": owner}, limit=1)
        if found.items and not found.items[0].body.removing:
            number = found.items[0].body.number
            return await self.change(owner, number, name=None, items=items)
        return await self.create(owner, name, items, flight=flight)

    async def page(self, wanted: Filter, *, limit: int, offset: int) -> tuple[int, list[dict[str, Any]]]:
        """Return how many sessions suit a filter, and some of them, last modified first, as stored."""
        found: list[dict[str, Any]] = []
        total = 0
        at_once = SESSIONS_AT_ONCE if wanted.name is not None else offset + limit
        async for body in self._bodies(wanted.where, min(at_once, SESSIONS_AT_ONCE)):
            if wanted.suits(body):
                total += 1
                if offset < total <= offset + limit:
                    found.append(body)
            if wanted.name is None and total >= offset + limit:
                return await self.documents.count(wanted.where), found
        return total, found

    async def operation(self, session: DataSession, number: int) -> AskedOperation:
        """Return an operation of a session.

        Raises:
            NotFoundError: There is none in it.
        """
        document = await self.asked.get(operation_id(number))
        if document is None or document.body.session != session.number:
            raise missing("DataOperation")
        return document.body

    async def operations_of(self, numbers: Sequence[int]) -> list[AskedOperation]:
        """Return all operations of some sessions, by number within each."""
        if not numbers:
            return []
        where: Where = {"session": OneOf(tuple(numbers))}
        return [document.body async for document in self.asked.each(where, order=OLDEST_FIRST)]

    async def _changed(self, session: DataSession, update: Mapping[str, Any]) -> DataSession:
        document = await self.documents.update(
            session.document_id, lambda old: old.model_copy(update=dict(update))
        )
        return document.body

    async def _bodies(self, where: Where, at_once: int) -> AsyncIterator[dict[str, Any]]:
        """Iterate over sessions unread: thousands are looked through, and few are shown."""
        cursor: str | None = None
        while True:
            page = await self.documents.store.find(
                self.documents.spec.name, where, order=NEWEST_FIRST, limit=at_once, after=cursor
            )
            for record in page.records:
                yield record.body
            if (cursor := page.cursor) is None:
                return


def _checked(session: DataSession) -> DataSession:
    if message := too_large(session):
        raise RefusedError(message, faults={"input_data": [message]})
    return session
