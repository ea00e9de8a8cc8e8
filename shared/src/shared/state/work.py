"""Documents that wait to be worked on: claimed one by one, under a lease, by any number of processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

import structlog
from pydantic import BaseModel

from shared.errors import PermanentError, TransientError
from shared.rhythm import until_next_s
from shared.state.documents import Collection, Document, LeaseLostError
from shared.state.lease import hold
from shared.state.metrics import LEASES_LOST
from shared.state.owner import process_owner, release_gone
from shared.state.port import Between, Order, Where
from shared.tracing import Kind, Span, TraceContext, parse_traceparent

M = TypeVar("M", bound=BaseModel)

POLL_S = 1.0
LINKS_AT_MOST = 8

log = structlog.get_logger(__name__)


def _uncounted(_: object) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(slots=True)
class WorkQueue(Generic[M]):
    """The documents of a collection that wait for work."""

    collection: Collection[M]
    waiting: Callable[[], Awaitable[Sequence[Where]]]
    """What a document must be like to be worked on now, asked before each claim; the first met counts."""
    order: Order
    owner: str
    lease: timedelta
    """How long a silent process keeps a document before another takes it over."""
    at_once: int
    left_behind: Where
    """Where dead processes may have left leases that nobody has to wait for."""
    in_hand: Callable[[Document[M]], AbstractContextManager[None]] = _uncounted
    """Entered with each claimed document before the next one is chosen, and left at the end of its work."""
    asked_in: Callable[[M], Sequence[str | None]] | None = None
    """``traceparent`` of everything that asked for the work, newest last: the span of the work is its child,
    and linked to the others. None: the work has no span of its own."""
    _due: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Look for work now instead of at the next poll."""
        self._due.set()

    async def run(self, work: Callable[[Document[M]], Awaitable[None]]) -> None:
        """Call ``work`` with every document that waits, ``at_once`` at a time, for ever.

        It runs under the lease, which its last change gives back; it is cancelled when the lease is lost.
        What dead processes of this host left behind is taken over at once.
        """
        await self._take_over()
        free = asyncio.Semaphore(self.at_once)
        async with asyncio.TaskGroup() as workers:
            while True:
                await free.acquire()
                document = await self._claim()
                if document is None:
                    free.release()
                    await self._pause()
                else:
                    worker = workers.create_task(self._do(work, document), name=f"work on {document.id}")
                    worker.add_done_callback(lambda _: free.release())

    async def _do(self, work: Callable[[Document[M]], Awaitable[None]], document: Document[M]) -> None:
        with self.in_hand(document):  # the first step of its task: looking for the next one takes longer
            if self.asked_in is None:
                await self._do_leased(work, document)
                return
            with work_span(self.collection.spec.name, self.asked_in(document.body)):
                await self._do_leased(work, document)

    async def _do_leased(self, work: Callable[[Document[M]], Awaitable[None]], document: Document[M]) -> None:
        try:
            async with hold(self.collection, document.id, owner=self.owner, hold=self.lease):
                await work(document)
        except LeaseLostError as error:
            LEASES_LOST.labels(self.collection.spec.name).inc()
            log.warning("work.taken_over", error=str(error))
        except TransientError as error:  # the store itself: the lease lapses and the work goes on from there
            log.warning("work.unrecorded", document=document.id, error=str(error))
            await asyncio.sleep(POLL_S)
        except PermanentError:
            log.exception("work.unreadable", document=document.id)
        except Exception:  # a bug must not end the work on the others; the lease lapses here, too
            log.exception("work.broken", document=document.id)

    async def _claim(self) -> Document[M] | None:
        try:
            for where in await self.waiting():
                document = await self.collection.claim(
                    where, owner=self.owner, hold=self.lease, order=self.order
                )
                if document:
                    return document
        except TransientError as error:
            log.warning("state.unavailable", error=str(error))
        except PermanentError:  # one unreadable document must not keep the others waiting
            log.exception("work.unreadable")
        return None

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(
                until_next_s(POLL_S)
            ):  # wait_for of Python 3.11 loses a cancellation behind a wake
                await self._due.wait()
        self._due.clear()

    async def _take_over(self) -> None:
        try:
            await release_gone(self.collection, self.left_behind)
        except (PermanentError, TransientError) as error:  # then their leases lapse by themselves
            log.warning("takeover.delayed", error=str(error))


def work_span(name: str, asked_in: Sequence[str | None]) -> Span:
    """Return the span of work that was asked for in other spans, of which few are linked."""
    asked = [found for each in asked_in[-LINKS_AT_MOST:] if (found := parse_traceparent(each))]
    parent: TraceContext | None = asked.pop() if asked else None
    return Span(f"work {name}", Kind.INTERNAL, parent=parent, links=tuple(asked))


def due_queue(
    collection: Collection[M],
    *,
    at_once: int,
    lease: timedelta,
    asked_in: Callable[[M], Sequence[str | None]] | None = None,
) -> WorkQueue[M]:
    """Return the queue of documents whose time has come, which they name as ``due_s``; longest due first."""

    async def due() -> Sequence[Where]:
        return [{"due_s": Between(high=time.time())}]

    return WorkQueue(
        collection,
        waiting=due,
        order=Order("due_s"),
        owner=process_owner(),
        lease=lease,
        at_once=at_once,
        left_behind={"due_s": Between(low=0.0)},
        asked_in=asked_in,
    )
