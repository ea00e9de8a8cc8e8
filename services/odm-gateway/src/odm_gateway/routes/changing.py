"""What happens to tasks that are there: cancel, remove and restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from fastapi import APIRouter, Request, Response

from odm_gateway.domain.callers import Caller
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.options import OptionTable, parse_submitted
from odm_gateway.domain.tasks import Task, canceled, removed, restarted
from odm_gateway.ends import told
from odm_gateway.node import Node
from odm_gateway.refusals import RefusedError
from odm_gateway.routes.asking import CallerHere, NodeHere
from odm_gateway.wire.answers import Json, NodeOdmRoute, failure, not_done
from odm_gateway.wire.bodies import Fields, read_body
from shared.errors import NotFoundError
from shared.events import Option

STOPS_WITHIN_S = 10.0
LOOK_EVERY_S = 0.2

log = structlog.get_logger()

router = APIRouter(route_class=NodeOdmRoute)


@router.post("/task/cancel")
async def cancel_task(request: Request, node: NodeHere, caller: CallerHere) -> Response:
    """Cancel a task; a finished one counts as canceled from then on."""
    return await _change(request, node, caller, canceled)


@router.post("/task/remove")
async def remove_task(request: Request, node: NodeHere, caller: CallerHere) -> Response:
    """Cancel a task and delete all that it made."""
    return await _change(request, node, caller, removed)


@router.post("/task/restart")
async def restart_task(request: Request, node: NodeHere, caller: CallerHere) -> Response:
    """Process a finished task again, with other options where some are sent."""
    fields = await _fields(request)
    task = await _named_task(fields, node, caller)
    if isinstance(task, Response):
        return task
    options = _new_options(fields.get("options"), task, node.options)
    try:
        await _stopped(task, node)
        now = datetime.now(UTC)
        document = await node.tasks.update(task_key(task.id), lambda old: restarted(old, now, options))
    except NotFoundError:  # somebody removed it meanwhile
        return not_done(f"{task.id} not found")
    if document.body.created_at != now:
        return not_done("Task cannot be restarted")
    log.info("task.restarted", task_id=task.id, attempt=document.body.attempt)
    node.wake()
    return Json({"success": True})


def _new_options(raw: object, task: Task, table: OptionTable) -> tuple[Option, ...] | None:
    """Return the options of the new attempt, or None where those of the last one stay."""
    if raw in (None, "", 0):  # what JavaScript takes for no; an empty list is one
        return None
    options = table.validated(parse_submitted(raw))
    return table.with_post_processing(options) if task.post_processing else options


async def _stopped(task: Task, node: Node) -> None:
    """Wait a little for a cancel that clients take for done: a restart right behind it is meant to work."""
    with suppress(TimeoutError):
        async with asyncio.timeout(STOPS_WITHIN_S):
            while task.cancel_requested and not task.status.finished:
                await asyncio.sleep(LOOK_EVERY_S)
                task = (await node.tasks.load(task_key(task.id))).body


async def _change(
    request: Request, node: Node, caller: Caller, change: Callable[[Task, datetime], Task]
) -> Response:
    task = await _named_task(await _fields(request), node, caller)
    if isinstance(task, Response):
        return task
    now = datetime.now(UTC)
    try:
        await node.tasks.update(task_key(task.id), lambda old: told(old, change(old, now)))
    except NotFoundError:  # somebody removed it meanwhile
        return not_done(f"{task.id} not found")
    node.wake()
    return Json({"success": True})


async def _fields(request: Request) -> Fields:
    return (await read_body(request, multipart=False)).fields


async def _named_task(fields: Fields, node: Node, caller: Caller) -> Task | Response:
    """Return the task that a body names, or the answer that says why there is none."""
    uuid = fields.get("uuid")
    if not isinstance(uuid, str) or not uuid:
        return failure("uuid param missing.")
    try:
        return await node.task(uuid, caller)
    except RefusedError as error:
        return not_done(str(error))
