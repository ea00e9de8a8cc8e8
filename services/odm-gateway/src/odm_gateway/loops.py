"""What the gateway does by itself: works on tasks under a lease, and tidies up behind finished ones."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from structlog.contextvars import bound_contextvars

from odm_gateway.adapters.console_log import ConsoleLog
from odm_gateway.domain.completion import completion
from odm_gateway.domain.identity import workflow_name
from odm_gateway.domain.tasks import OPEN, Status, Task, begun, handed_back, tidied
from odm_gateway.ports import Engine, Job
from odm_gateway.running import Ending, Run
from shared.errors import TransientError
from shared.messaging.bus import Bus
from shared.objects.port import ObjectStore
from shared.state import Change, Collection, CollectionSpec, Document, Index, LeaseLostError, OneOf, Order
from shared.state.lease import hold
from shared.state.work import WorkQueue

TASKS = CollectionSpec(
    "odm_tasks",
    (
        Index(("status", "inserted_us")),
        Index(("inserted_us",)),
        Index(("tenant", "inserted_us")),
        Index(("untidy", "status")),
    ),
)
POLL_S = 1.0
TIDY_EVERY_S = 2.0
OPEN_STATUS = OneOf(tuple(int(status) for status in OPEN))
_FINISHED = OneOf(tuple(int(status) for status in Status if status.finished))

log = structlog.get_logger()


@dataclass(slots=True)
class TaskLoop:
    """Claims tasks and sees them to their end; any number of processes may run it."""

    tasks: Collection[Task]
    console: ConsoleLog
    objects: ObjectStore
    engine: Engine
    bus: Bus
    owner: str
    lease: timedelta
    at_once: int
    max_images: int | None = None
    retry_after: tuple[timedelta, ...] = ()
    """How long to wait after each failure of the engine or the object store that may pass."""
    _queue: WorkQueue[Task] = field(init=False)

    def __post_init__(self) -> None:
        """Say which tasks wait: all that are open, oldest first."""
        self._queue = WorkQueue(
            self.tasks,
            waiting=lambda: {"status": OPEN_STATUS},
            order=Order("inserted_us"),
            owner=self.owner,
            lease=self.lease,
            at_once=self.at_once,
            left_behind={"status": OPEN_STATUS},
        )

    def wake(self) -> None:
        """Look for work now instead of at the next poll."""
        self._queue.wake()

    async def run(self) -> None:
        """Work on whatever is queued, for ever; first on what dead predecessors on this host left."""
        await self._queue.run(self._work)

    async def tidy(self) -> None:
        """Remove what finished tasks left behind, and tasks that nobody wants any more, for ever."""
        while True:
            try:
                await self.tidy_all()
            except TransientError as error:
                log.warning("tidy.delayed", error=str(error))
            await asyncio.sleep(TIDY_EVERY_S)

    async def tidy_all(self) -> None:
        """Remove what can be removed now."""
        while document := await self.tasks.claim(
            {"untidy": True, "status": _FINISHED}, owner=self.owner, hold=self.lease
        ):
            with suppress(LeaseLostError):
                async with hold(self.tasks, document.id, owner=self.owner, hold=self.lease):
                    await self._tidy(document)
        await self.tasks.store.purge_expired(TASKS.name, datetime.now(UTC))

    async def _tidy(self, document: Document[Task]) -> None:
        removing = document.body.removing
        await self.engine.remove(job_of(document.body))
        if removing:
            await self._remove_products(document)

        def change(task: Task) -> Change[Task]:
            if task.removing and not removing:  # asked for meanwhile: the next round does it
                return Change(task, release=True)
            return Change(tidied(task), release=True, expires_at=datetime.now(UTC) if removing else None)

        await self.tasks.update(document.id, change, owner=self.owner)

    async def _remove_products(self, document: Document[Task]) -> None:
        await self.console.remove(document.id)
        products = f"{document.body.products_key}/"
        for key in [stored.key async for stored in self.objects.list(products)]:
            await self.objects.delete(key)

    async def _work(self, document: Document[Task]) -> None:
        with bound_contextvars(task_id=document.body.id, flight_id=flight_id(document.body)):
            await self._see_through(document.id)

    async def _see_through(self, document_id: str) -> None:
        now = datetime.now(UTC)
        document = await self.tasks.update(
            document_id,
            # A cancel between claim and now has ended it already.
            lambda task: Change(task, release=True) if task.status.finished else begun(task, now),
            owner=self.owner,
        )
        if document.body.status.finished:
            return
        try:
            ending = await self._run(document).ending()
        except asyncio.CancelledError:
            with suppress(LeaseLostError, TransientError):
                await self.tasks.update(
                    document_id, lambda task: Change(handed_back(task), release=True), owner=self.owner
                )
            raise
        await self._end(document_id, ending)

    def _run(self, document: Document[Task]) -> Run:
        return Run(
            document=document,
            tasks=self.tasks,
            console=self.console,
            objects=self.objects,
            engine=self.engine,
            job=job_of(document.body),
            tell=self.bus.progress,
            owner=self.owner,
            max_images=self.max_images,
            retry_after=self.retry_after,
        )

    async def _end(self, document_id: str, ending: Ending) -> None:
        now = datetime.now(UTC)

        def change(task: Task) -> Change[Task]:
            last = ending.applied(task, now)
            outputs = self.objects.uri(last.products_key)
            return Change(last, [completion(last, outputs)], release=True)

        while True:
            try:
                task = (await self.tasks.update(document_id, change, owner=self.owner)).body
            except TransientError as error:  # a result is worth waiting for while the lease holds
                log.warning("state.unavailable", error=str(error))
                await asyncio.sleep(POLL_S)
            else:
                log.info("task.ended", status=task.status.name.lower(), error=task.error)
                return


def job_of(task: Task) -> Job:
    """Return what an engine is asked for."""
    return Job(
        task_id=task.id,
        name=workflow_name(task.id, task.attempt),
        images=task.images,
        manifest=task.manifest,
        options=task.options,
        products=task.products_key,
        outputs=task.outputs,
        image_count=task.image_count,
        total_bytes=task.total_bytes,
        tenant=task.tenant,
    )


def flight_id(task: Task) -> str | None:
    """Return the flight that the task belongs to, if any."""
    return task.flight.flight_id if task.flight else None
