"""What happens to tasks that are there: cancel, remove and restart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from odm_gateway.domain.callers import Caller
from odm_gateway.domain.completion import completion
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.tasks import Task, canceled, removed
from odm_gateway.node import CallerHere, Node, NodeHere
from odm_gateway.wire.answers import Json, NodeOdmRoute, RefusedError, failure, not_done
from odm_gateway.wire.bodies import read_body
from shared.state import Change

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
    """Refuse, in NodeODM's words, to process a task again."""
    task = await _named_task(request, node, caller)
    return not_done("Task cannot be restarted") if isinstance(task, Task) else task


async def _change(
    request: Request, node: Node, caller: Caller, change: Callable[[Task, datetime], Task]
) -> Response:
    task = await _named_task(request, node, caller)
    if isinstance(task, Response):
        return task
    now = datetime.now(UTC)
    await node.tasks.update(task_key(task.id), lambda old: _told(old, change(old, now)))
    node.wake()
    return Json({"success": True})


async def _named_task(request: Request, node: Node, caller: Caller) -> Task | Response:
    """Return the task that a body names, or the answer that says why there is none."""
    uuid = (await read_body(request, multipart=False)).fields.get("uuid")
    if not isinstance(uuid, str) or not uuid:
        return failure("uuid param missing.")
    try:
        return await node.task(uuid, caller)
    except RefusedError as error:
        return not_done(str(error))


def _told(old: Task, new: Task) -> Change[Task]:
    """Return the new task, and the event of its end where this change is what ended it."""
    is_end = new.status.finished and not old.status.finished
    return Change(new, [completion(new, None)] if is_end else [])
