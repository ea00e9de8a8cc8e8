"""What the gateway hears: staged images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog

from odm_gateway.domain.completion import completion
from odm_gateway.domain.identity import task_id_of, task_key
from odm_gateway.domain.options import OptionTable
from odm_gateway.domain.tasks import Flight, Status, Task, ended, too_many_images
from shared.errors import InvalidInputError
from shared.events import Event, ImagesStaged, Option
from shared.objects.port import ObjectStore
from shared.state import Collection

log = structlog.get_logger()


async def start_task(
    event: Event[ImagesStaged],
    *,
    tasks: Collection[Task],
    objects: ObjectStore,
    options: OptionTable,
    max_images: int | None,
    wake: Callable[[], None],
) -> None:
    """Make the task that staged images ask for, once however often they are announced.

    Images that still have to be scaled, or that nobody wants processed, are left alone. What can never
    become a task becomes a failed one, so that its owner sees why.
    """
    staged = event.data
    if staged.options.skip_processing or (staged.scale.requested and not staged.scale.applied):
        return
    task = _task(event, options, objects, max_images)
    events = [completion(task, None)] if task.status.finished else []
    _, is_new = await tasks.ensure(task_key(task.id), task, events=events, seen=event)
    if is_new:
        log.info("task.created", task_id=task.id, images=task.image_count, error=task.error)
        wake()


def _task(
    event: Event[ImagesStaged], table: OptionTable, objects: ObjectStore, max_images: int | None
) -> Task:
    asked: Sequence[Option] = event.data.options.process
    images, manifest, error = "", None, too_many_images(event.data.image_count, max_images)
    try:
        asked = table.validated(option.model_dump() for option in asked)
        images = objects.key(event.data.prefix)
        manifest = objects.key(event.data.manifest) if event.data.manifest else None
    except InvalidInputError as refused:
        error = str(refused)
    task = _new_task(event, tuple(asked)).model_copy(update={"images": images, "manifest": manifest})
    return ended(task, Status.FAILED, task.created_at, error=error) if error else task


def _new_task(event: Event[ImagesStaged], options: tuple[Option, ...]) -> Task:
    staged, now = event.data, datetime.now(UTC)
    return Task(
        id=task_id_of(staged, options),
        name=staged.name,
        created_at=now,
        inserted_us=round(now.timestamp() * 1e6),
        options=options,
        images="",
        image_count=staged.image_count,
        flight=Flight(
            flight_id=staged.flight_id,
            version=staged.version,
            rerun=staged.rerun,
            event_id=event.id,
            correlation_id=event.correlation,
            traceparent=event.traceparent,
        ),
    )
