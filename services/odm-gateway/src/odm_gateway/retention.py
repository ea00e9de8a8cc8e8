"""How long things are kept: finished tasks are removed by themselves, and what belongs to them goes too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from odm_gateway.domain.identity import task_key
from odm_gateway.domain.tasks import Status, Task, removed
from shared.errors import PermanentError, TransientError
from shared.objects.port import ObjectStore
from shared.state import Between, Collection, OneOf, Where

LOOK_EVERY_S = 60.0
_FINISHED = OneOf(tuple(int(status) for status in Status if status.finished))

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retention:
    """Removes tasks some time after their end; any number of processes may run it."""

    tasks: Collection[Task]
    cleanup: timedelta | None
    """How long after its end a task is kept; None: for ever."""
    expiring: Sequence[str] = ()
    """Collections whose documents name the time of their own end."""

    async def run(self) -> None:
        """Look once a minute, for ever."""
        while True:
            try:
                await self.remove_expired()
            except (TransientError, PermanentError) as error:
                log.warning("retention.delayed", error=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def remove_expired(self) -> None:
        """Remove whatever has been kept long enough by now."""
        now = datetime.now(UTC)
        for collection in self.expiring:
            await self.tasks.store.purge_expired(collection, now)
        if not self.cleanup:
            return
        over: Where = {
            "status": _FINISHED,
            "finished_at": Between(high=_as_stored(now - self.cleanup)),
        }
        cursor: str | None = None
        while True:
            # Unread: a task that cannot be read must not keep the others.
            page = await self.tasks.store.find(self.tasks.spec.name, over, after=cursor)
            for record in page.records:
                if not record.body["removing"]:
                    await self._remove(record.id, now)
            cursor = page.cursor
            if cursor is None:
                return

    async def _remove(self, document_id: str, now: datetime) -> None:
        def change(task: Task) -> Task | None:
            expires_at = task.expires_at(self.cleanup)
            is_over = expires_at is not None and expires_at <= now
            return (
                removed(task, now) if is_over and task.status.finished else None
            )  # else restarted meanwhile

        try:
            document = await self.tasks.update(document_id, change)
        except PermanentError as error:
            log.warning("task.not_removed", document=document_id, error=str(error))
        else:
            log.info("task.expired", task_id=document.body.id, finished_at=document.body.finished_at)


def _as_stored(moment: datetime) -> str:
    """Return ``moment`` as documents hold it: such texts sort by time."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


async def delete_objects(objects: ObjectStore, task: Task) -> None:
    """Delete what a task has in the object store: what was uploaded for it, and what it made.

    Under a prefix that its user chose, only its products go: what else lies there is not ours. Images that
    its user named are never touched.
    """
    await _delete_below(objects, f"uploads/{task_key(task.id)}/")
    if not task.products:
        await _delete_below(objects, f"{task.products_key}/")
        return
    for asset in dict.fromkeys((*task.assets, *task.earlier_assets)):
        await objects.delete(f"{task.products_key}/{asset}")


async def _delete_below(objects: ObjectStore, folder: str) -> None:
    for key in [stored.key async for stored in objects.list(folder)]:
        await objects.delete(key)
