"""Runs of recipes in the document store."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from datalab.domain.asked import UNFINISHED, operation_id
from datalab.domain.run_changes import called
from datalab.domain.runs import Made, Run
from datalab.numbers import Numbers
from datalab.wire.errors import missing
from shared.errors import NotFoundError
from shared.events import Event, TaskCompleted
from shared.state import Collection, Document, OneOf, Order, RevisionError, Where

UNFINISHED_STATES = OneOf(tuple(state.value for state in UNFINISHED))
_NUMBER = re.compile(r"[0-9]{1,15}")
NEWEST_FIRST = Order("number", descending=True)


@dataclass(slots=True)
class Runs:
    """The runs of all users; a run and what it is made of are two documents of one name."""

    documents: Collection[Run]
    made: Collection[Made]
    numbers: Numbers
    signal: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody has to look at a run."""

    async def create(self, run: Run, made: Made) -> Run:
        """Keep a new run; one that is killed between its two documents was never there."""
        await self.documents.insert(run.document_id, run)
        await self.made.insert(run.document_id, made)
        return run

    async def of(self, owner: str, number: int) -> Run:
        """Return a user's run.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
        """
        document = await self.documents.get(str(number))
        if document is None or document.body.owner != owner:
            raise missing("Run")
        return document.body

    async def page(self, where: Where, *, limit: int, offset: int) -> tuple[int, list[Run]]:
        """Return how many runs suit, and some of them, newest first."""
        total, found = await self.documents.count(where), list[Run]()
        if offset < total:
            page = await self.documents.find(where, order=NEWEST_FIRST, limit=offset + limit)
            found = [document.body for document in page.items[offset:]]
        return total, found

    async def change(self, number: int, step: Callable[[Run], Run | None]) -> Run:
        """Do a step of a run.

        Raises:
            NotFoundError: It is gone.
        """
        return (await self.documents.update(str(number), step)).body

    async def heed(self, event: Event[TaskCompleted]) -> None:
        """Have somebody look at the run whose operation has ended."""
        done = event.data
        session = done.session_id or ""
        if done.kind != "datalab" or not _NUMBER.fullmatch(session):
            return
        where: Where = {"session": int(session), "state": UNFINISHED_STATES}
        async for document in self.documents.each(where):
            for _, step in document.body.places():
                if operation_id(step.operation) == done.task_id:
                    await self._call(document.body.number, step.operation)

    async def _call(self, number: int, operation: int) -> None:
        with suppress(NotFoundError):
            await self.change(number, partial(called, now_s=time.time(), ended=operation))
        self.signal.set()

    async def forget(self, session: int) -> None:
        """Delete the runs of a session; their operations go with the session."""
        async for document in self.documents.each({"session": session}):
            await self.delete(document.body.number)

    async def delete(self, number: int) -> None:
        """Delete a run; one that is gone already is no error."""
        await _deleted(self.made, str(number))
        await _deleted(self.documents, str(number))


async def _deleted(documents: Collection[Run] | Collection[Made], name: str) -> None:
    while True:
        document: Document[Run] | Document[Made] | None = await documents.get(name)
        if document is None:
            return
        with suppress(RevisionError):
            await documents.store.delete(documents.spec.name, document.record)
            return
