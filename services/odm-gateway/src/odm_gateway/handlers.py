"""What the gateway hears: staged images, and the ends of its own tasks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TypeAlias

import structlog

from odm_gateway.domain import javascript
from odm_gateway.domain.completion import SOURCE, completion
from odm_gateway.domain.identity import task_id_of, task_key
from odm_gateway.domain.options import OptionTable
from odm_gateway.domain.tasks import Flight, Status, Task, ended, too_many_images
from odm_gateway.domain.webhooks import (
    TELLING_S,
    Hook,
    attempt_of,
    forgotten_at,
    hooks_to_tell,
    payload,
    task_of,
    telling,
    told,
)
from shared.errors import InvalidInputError, NotFoundError, TransientError
from shared.events import Event, ImagesStaged, Option, TaskCompleted
from shared.objects.port import ObjectStore
from shared.state import Change, Collection

IMAGE_LIST = "images.json"
LOOK_AGAIN_S = 0.2
IMAGE_LIST_AT_MOST_BYTES = 16 << 20
"""Some 100 bytes per image; a longer list is left out of what webhooks are sent."""

Post: TypeAlias = Callable[[Hook, bytes, str], Awaitable[None]]

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
        traceparent=event.traceparent,
        flight=Flight(
            flight_id=staged.flight_id,
            version=staged.version,
            rerun=staged.rerun,
            event_id=event.id,
            correlation_id=event.correlation,
            traceparent=event.traceparent,
        ),
    )


async def tell_webhooks(
    event: Event[TaskCompleted],
    *,
    tasks: Collection[Task],
    objects: ObjectStore,
    node_hook: str | None,
    post: Post,
) -> None:
    """Tell whoever wants to hear of a task's end: each webhook once, as far as its answers let us know.

    Raises:
        TransientError: One of them did not take it; the next attempt tells only those that did not.
        PermanentError: One of them can never be told.
    """
    if event.source != SOURCE:
        return
    document = await tasks.get(task_key(event.data.task_id))
    if document is None:
        task = task_of(event.data)
        if hooks := hooks_to_tell(task, node_hook, task.attempt):
            await _tell(task, event, hooks, [], objects=objects, post=post)
    while document:
        task, attempt = document.body, attempt_of(document.body, event.id)
        hooks = hooks_to_tell(task, node_hook, attempt) if attempt else []
        if attempt is None or not hooks:
            return
        async with _turn_to_tell(tasks, task, attempt) as names:
            if names is not None:
                await _tell(task, event, hooks, names, objects=objects, post=post)
                return
        await asyncio.sleep(LOOK_AGAIN_S)  # another replica heard the same event, and tells
        document = await tasks.get(document.id)


@asynccontextmanager
async def _turn_to_tell(tasks: Collection[Task], task: Task, attempt: int) -> AsyncIterator[list[str] | None]:
    """Give a list for the names of webhooks that were told, which are written down; None: others tell."""
    now_s = time.time()
    try:
        began = await tasks.update(task_key(task.id), lambda now: _begun(now, task, now_s))
    except NotFoundError:  # removed this moment: nobody would remember
        yield []
        return
    if began.body.telling_until_s != now_s + TELLING_S:
        yield None
        return
    names: list[str] = []
    try:
        yield names
    finally:
        with suppress(NotFoundError):  # its task was removed meanwhile
            await tasks.update(task_key(task.id), lambda now: _after_telling(now, attempt, names))


def _begun(now: Task, seen: Task, now_s: float) -> Task | None:
    return telling(now, now_s) if now.hooks_told == seen.hooks_told else None


async def _tell(
    task: Task,
    event: Event[TaskCompleted],
    hooks: Sequence[Hook],
    names: list[str],
    *,
    objects: ObjectStore,
    post: Post,
) -> None:
    """Tell ``hooks``, and add those that heard to ``names``."""
    body = await _webhook_body(task, event.data, objects)
    outcomes = await asyncio.gather(*(post(hook, body, event.id) for hook in hooks), return_exceptions=True)
    names += [hook.name for hook, outcome in zip(hooks, outcomes, strict=True) if outcome is None]
    if names:
        log.info("webhooks.told", hooks=names)
    _raise_worst(outcomes)


async def _webhook_body(task: Task, end: TaskCompleted, objects: ObjectStore) -> bytes:
    images = await _image_list(end, objects)
    return await asyncio.to_thread(
        lambda: json.dumps(payload(task, end, images), ensure_ascii=False).encode()
    )


async def _image_list(end: TaskCompleted, objects: ObjectStore) -> list[Any]:
    if IMAGE_LIST not in end.assets or end.outputs is None:
        return []
    try:
        content = await objects.read(
            f"{objects.key(end.outputs)}/{IMAGE_LIST}", at_most=IMAGE_LIST_AT_MOST_BYTES
        )
        images = await asyncio.to_thread(javascript.parse_json, content)
    except (NotFoundError, InvalidInputError, ValueError) as error:
        log.warning("webhooks.no_image_list", error=str(error))
        return []
    return images if isinstance(images, list) else []


def _after_telling(task: Task, attempt: int, names: Sequence[str]) -> Change[Task]:
    """Return the task that remembers who was told; one that only waited for that goes."""
    after = told(task, attempt, names)
    is_waiting = after.removing and not after.untidy
    return Change(after, expires_at=forgotten_at(after, datetime.now(UTC)) if is_waiting else None)


def _raise_worst(outcomes: Sequence[BaseException | None]) -> None:
    """Raise what may pass before what cannot: the event then comes again for whom it may still reach."""
    errors = [outcome for outcome in outcomes if outcome is not None]
    for kind in (TransientError, BaseException):
        for error in errors:
            if isinstance(error, kind):
                raise error
