"""What the gateway does by itself: works on tasks under a lease, and tidies up behind finished ones."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from structlog.contextvars import bound_contextvars

from odm_gateway.adapters.console_log import ConsoleLog
from odm_gateway.adapters.intake import Intake
from odm_gateway.admission import OPEN_STATUS, Admission
from odm_gateway.domain.completion import completion
from odm_gateway.domain.identity import workflow_name
from odm_gateway.domain.submodels import splits, with_cluster
from odm_gateway.domain.tasks import Status, Task, begun, handed_back, removed, tidied
from odm_gateway.domain.webhooks import forgotten_at
from odm_gateway.ends import told
from odm_gateway.metrics import note_end
from odm_gateway.ports import Engine, Job
from odm_gateway.retention import delete_objects
from odm_gateway.running import Ending, Run
from shared.errors import PermanentError, TransientError
from shared.messaging.bus import Bus
from shared.objects.port import ObjectStore
from shared.state import (
    Between,
    Change,
    Collection,
    CollectionSpec,
    Document,
    Index,
    LeaseLostError,
    OneOf,
    Order,
    Where,
)
from shared.state.lease import hold
from shared.state.work import WorkQueue
from shared.tracing import traceparent

TASKS = CollectionSpec(
    "odm_tasks",
    (
        Index(("status", "inserted_us")),
        Index(("inserted_us",)),
        Index(("tenant", "inserted_us")),
        Index(("tenant", "is_submodel", "status", "inserted_us")),
        Index(("parent", "inserted_us")),
        Index(("untidy", "status")),
        Index(("status", "finished_at")),
    ),
)
POLL_S = 1.0
TIDY_EVERY_S = 2.0
TIDIED_TOGETHER = 8
"""Each is a few requests to its cluster, one behind the other."""
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
    """Tasks in hand together; as many submodels of theirs beside them, for which they wait."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Weights of tenants whose tasks wait for the same slots."""
    cluster_url: str | None = None
    """Where engines of ours reach the gateway, to hand parts of split tasks back; None: nowhere."""
    max_images: int | None = None
    max_runtime: timedelta | None = None
    retry_after: tuple[timedelta, ...] = ()
    """How long to wait after each failure of the engine or the object store that may pass."""
    intake: Intake | None = None
    """Takes in what tasks are to process; None: one with its defaults."""
    _queues: tuple[WorkQueue[Task], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Give submodels slots of their own: the tasks that hold the others wait for them."""
        admissions = [Admission(self.tasks, is_submodel, self.shares) for is_submodel in (False, True)]
        self._queues = tuple(self._queue(admission) for admission in admissions)

    def _queue(self, admission: Admission) -> WorkQueue[Task]:
        return WorkQueue(
            self.tasks,
            waiting=admission.waiting,
            order=Order("inserted_us"),
            owner=self.owner,
            lease=self.lease,
            at_once=self.at_once,
            left_behind={"status": OPEN_STATUS, "is_submodel": admission.is_submodel},
            in_hand=lambda document: admission.in_hand(document.body),
            asked_in=lambda task: [task.flight.traceparent if task.flight else None, task.traceparent],
        )

    def wake(self) -> None:
        """Look for work now instead of at the next poll."""
        for queue in self._queues:
            queue.wake()

    async def run(self) -> None:
        """Work on whatever is queued, for ever; first on what dead predecessors on this host left."""
        async with asyncio.TaskGroup() as group:
            for queue in self._queues:
                group.create_task(queue.run(self._work))

    async def tidy(self) -> None:
        """Remove what finished tasks left behind, and tasks that nobody wants any more, for ever."""
        while True:
            try:
                await self.tidy_all()
            except (TransientError, PermanentError) as error:
                log.warning("tidy.delayed", error=str(error))
            await asyncio.sleep(TIDY_EVERY_S)

    async def tidy_all(self) -> None:
        """Remove what can be removed now."""
        while documents := await self._untidy():
            for outcome in await asyncio.gather(*map(self._tidied, documents), return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
        await self.tasks.store.purge_expired(TASKS.name, datetime.now(UTC))

    async def _untidy(self) -> list[Document[Task]]:
        """Claim tasks that left something behind, as many as are tidied together."""
        found: list[Document[Task]] = []
        while len(found) < TIDIED_TOGETHER and (
            document := await self.tasks.claim(
                {"untidy": True, "status": _FINISHED}, owner=self.owner, hold=self.lease
            )
        ):
            found.append(document)
        return found

    async def _tidied(self, document: Document[Task]) -> None:
        try:
            async with hold(self.tasks, document.id, owner=self.owner, hold=self.lease):
                await self._tidy(document)
        except (TransientError, PermanentError) as error:  # its turn comes again when the lease lapses
            log.warning("task.not_tidied", task_id=document.body.id, error=str(error))

    async def _tidy(self, document: Document[Task]) -> None:
        task = document.body
        if task.cluster_secret:
            await self._remove_parts(document.id)
        for attempt in range(task.tidied_attempts + 1, task.attempt + 1):
            await self.engine.remove(job_of(task.model_copy(update={"attempt": attempt})))
        if task.removing:
            await self.console.remove(document.id)
            await delete_objects(self.objects, task)

        def change(now: Task) -> Change[Task]:
            if now.removing and not task.removing:  # asked for meanwhile: the next round does it
                return Change(now, release=True)
            expires_at = forgotten_at(now, datetime.now(UTC)) if task.removing else None
            return Change(tidied(now, task.attempt), release=True, expires_at=expires_at)

        await self.tasks.update(document.id, change, owner=self.owner)

    async def _remove_parts(self, parent: str, of_attempts_before: datetime | None = None) -> None:
        """Remove what is left of a task's parts: ODM itself removes those that it saw to their end."""
        now = datetime.now(UTC)
        wanted: Where = {"parent": parent}
        if of_attempts_before:
            wanted = {**wanted, "inserted_us": Between(high=round(of_attempts_before.timestamp() * 1e6))}
        async for part in self.tasks.each(wanted, order=Order("inserted_us")):
            await self.tasks.update(part.id, lambda task: told(task, removed(task, now)))

    async def _work(self, document: Document[Task]) -> None:
        with bound_contextvars(task_id=document.body.id, flight_id=flight_id(document.body)):
            await self._see_through(document.id)

    async def _see_through(self, document_id: str) -> None:
        now = datetime.now(UTC)
        document = await self.tasks.update(
            document_id,
            # A cancel between claim and now has ended it already.
            lambda task: Change(task, release=True) if task.status.finished else self._begun(task, now),
            owner=self.owner,
        )
        if document.body.status.finished:
            return
        try:
            if document.body.attempt > 1:
                await self._remove_parts(document_id, of_attempts_before=document.body.created_at)
            ending = await self._run(document).ending()
        except asyncio.CancelledError:
            with suppress(LeaseLostError, TransientError):
                await self.tasks.update(
                    document_id, lambda task: Change(handed_back(task), release=True), owner=self.owner
                )
            raise
        await self._end(document_id, ending)

    def _begun(self, task: Task, now: datetime) -> Task:
        task = begun(task, now)
        if self.cluster_url and splits(task.options) and not task.cluster_secret:
            return task.model_copy(update={"cluster_secret": secrets.token_urlsafe(24)})
        return task

    def _run(self, document: Document[Task]) -> Run:
        return Run(
            document=document,
            tasks=self.tasks,
            console=self.console,
            objects=self.objects,
            engine=self.engine,
            intake=self.intake or Intake(self.objects),
            job=self._job(document.body),
            tell=self.bus.progress,
            owner=self.owner,
            max_images=self.max_images,
            max_runtime=self.max_runtime,
            retry_after=self.retry_after,
        )

    def _job(self, task: Task) -> Job:
        """Return the job of a task; one that splits its images hands the parts back to this gateway."""
        if not (self.cluster_url and task.cluster_secret):
            return job_of(task)
        return job_of(task.model_copy(update={"options": with_cluster(task, self.cluster_url)}))

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
                note_end(task)
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
        is_submodel=task.is_submodel,
        traceparent=traceparent() or task.traceparent,
    )


def flight_id(task: Task) -> str | None:
    """Return the flight that the task belongs to, if any."""
    return task.flight.flight_id if task.flight else None
