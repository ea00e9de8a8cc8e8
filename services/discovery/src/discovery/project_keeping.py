"""Keeps our projects and WebODM's the same, one at a time and under a lease."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from discovery.adapters.webodm import WebODM
from discovery.adapters.webodm_records import KEY_TAG
from discovery.adapters.webodm_records import Project as Seen
from discovery.domain.projects import (
    Delivery,
    Project,
    ProjectState,
    attended,
    deleted,
    present,
    troubled,
    wait_after,
    with_delivery,
)
from discovery.project_deliveries import Deliveries
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.messaging.port import DEFAULT_LADDER
from shared.state import Change, Collection, Document
from shared.state.work import WorkQueue, due_queue

log = structlog.get_logger()

LEASE = timedelta(seconds=60)
AT_ONCE = 4
POLL = timedelta(seconds=5)
"""How long to wait before looking at an import again."""
CONFIRM = timedelta(minutes=3)
"""A create whose answer was lost has happened by then, or never will."""
CHECK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Attends to projects; any number of replicas may, each project is one's at a time."""

    projects: Collection[Project]
    webodm: WebODM
    deliveries: Deliveries
    ladder: Sequence[timedelta] = DEFAULT_LADDER
    poll: timedelta = POLL
    confirm: timedelta = CONFIRM
    check: timedelta = CHECK

    async def attend(self, document: Document[Project]) -> None:
        """Make a project, or see whether it is still there, and bring it what waits."""
        lease = document.record.lease
        assert lease is not None
        visit = _Visit(self.projects, document.id, lease.owner)
        try:
            await self._attend(visit, document.body)
        except (TransientError, PermanentError) as error:
            await visit.failed(error, self.ladder)
            return
        await visit.over(self)

    async def _attend(self, visit: _Visit, project: Project) -> None:
        if project.state is ProjectState.DELETED:
            return
        seen, is_new = await self._seen(project)
        if seen is None:
            log.info("project.deleted_at_webodm", project=project.name, webodm_id=project.webodm_id)
            await visit.change(lambda one: deleted(one, datetime.now(UTC)))
            return
        if project.webodm_id is None:
            log.info("project.created" if is_new else "project.adopted", project=seen.name, webodm_id=seen.id)
        project = await visit.change(
            lambda one: present(one, seen.id, datetime.now(UTC), name=seen.name, adopted=not is_new)
        )
        if delivery := project.open_delivery:
            await self.deliveries.bring(seen.id, delivery, visit.note)

    async def _seen(self, project: Project) -> tuple[Seen | None, bool]:
        """Return a project as WebODM has it, or None if somebody deleted it, and whether it is new."""
        if project.webodm_id is None:
            return await self._adopted(project) or await self._ensured(project)
        try:
            seen = await self.webodm.project(project.webodm_id)
        except NotFoundError:
            doubles = await self.webodm.find_projects(tag=project.key)
            return next((one for one in doubles if one.may_change), None), False
        if not project.confirmed and project.key in seen.tags:
            return await self._ensured(project)
        return seen, False

    async def _ensured(self, project: Project) -> tuple[Seen, bool]:
        return await self.webodm.ensure_project(
            project.key,
            name=project.name,
            description=project.description,
            tags=[tag for tag in project.tags if tag != project.key],
        )

    async def _adopted(self, project: Project) -> tuple[Seen, bool] | None:
        """Take a project over that somebody else made for the same flight: its name has the system in it."""
        if not project.system_id:
            return None
        named = await self.webodm.find_projects(name=project.name)
        for seen in named:
            if seen.may_change and seen.owned and not any(map(KEY_TAG.fullmatch, seen.tags)):
                tags = [*dict.fromkeys((*seen.tags, *project.tags))]
                await self.webodm.edit_project(
                    seen.id, name=seen.name, description=seen.description, tags=tags
                )
                return seen, False
        return None

    def queue(self, *, at_once: int = AT_ONCE, lease: timedelta = LEASE) -> WorkQueue[Project]:
        """Return the queue of projects that are due."""
        return due_queue(self.projects, at_once=at_once, lease=lease)


@dataclass(frozen=True, slots=True)
class _Visit:
    """The time that one process has a project for itself."""

    projects: Collection[Project]
    key: str
    owner: str

    async def change(self, change: Callable[[Project], Project]) -> Project:
        return (await self.projects.update(self.key, change, owner=self.owner)).body

    async def note(self, delivery: Delivery) -> None:
        await self.change(lambda one: with_delivery(one, delivery, datetime.now(UTC)))

    async def over(self, keeper: Keeper) -> None:
        now = datetime.now(UTC)
        waits = {"poll": keeper.poll, "confirm": keeper.confirm, "check": keeper.check}
        await self.projects.update(
            self.key, lambda one: Change(attended(one, now, **waits), release=True), owner=self.owner
        )

    async def failed(self, error: TransientError | PermanentError, ladder: Sequence[timedelta]) -> None:
        now = datetime.now(UTC)
        wished = error.retry_after if isinstance(error, TransientError) else None

        def change(project: Project) -> Change[Project]:
            wait = wished or wait_after(project.attempts, ladder)
            if project.attempts == 0:
                log.warning("project.delayed", project=project.name, error=str(error))
            return Change(troubled(project, str(error), now, wait), release=True)

        await self.projects.update(self.key, change, owner=self.owner)
