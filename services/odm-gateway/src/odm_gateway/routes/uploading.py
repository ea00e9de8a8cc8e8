"""How tasks come in over HTTP in several requests: their fields, then their files, then the word to begin."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response

from odm_gateway.domain.creation import given_date
from odm_gateway.routes.asking import CallerHere, NodeHere
from odm_gateway.routes.creating import admitted_id, new_task
from odm_gateway.wire.answers import Json, NodeOdmRoute
from odm_gateway.wire.bodies import Incoming, is_form, read_body
from shared.errors import NotFoundError

router = APIRouter(route_class=NodeOdmRoute)


@router.post("/task/new/init")
async def begin_upload(request: Request, node: NodeHere, caller: CallerHere) -> Response:
    """Open an upload; fields come as a form of parts, anything else is ignored."""
    task_id = await admitted_id(request, node, caller)
    body = await read_body(request)
    fields = body.fields if is_form(request) else {}
    task = new_task(task_id, fields, node, caller)
    await node.uploads.begin(task, is_dated=given_date(fields) is not None)
    return Json({"uuid": task.id})


@router.post("/task/new/upload/{uuid}")
async def upload_files(uuid: str, request: Request, node: NodeHere, caller: CallerHere) -> Response:
    """Take files; one that has come before, as a client repeats it whose answer was lost, stays as it is."""
    try:
        draft = await node.uploads.draft(uuid, caller)
    except NotFoundError:
        await Incoming(request).skip()
        raise
    count = 0

    async def take(name: str, content: AsyncIterator[bytes]) -> None:
        nonlocal count
        count += 1
        await node.uploads.add(draft, name, content)

    await read_body(request, take=take)
    if not count:
        return Json({"error": "Need at least 1 file.", "noRetry": True})
    return Json({"success": True})


@router.post("/task/new/commit/{uuid}")
async def commit_upload(uuid: str, request: Request, node: NodeHere, caller: CallerHere) -> Response:
    """Make the task of an upload; the body counts for nothing, whatever it says that it is."""
    await Incoming(request).skip()
    task = await node.uploads.commit(uuid, caller)
    node.wake()
    return Json({"uuid": task.id})
