"""How tasks come in over HTTP in one request: with their files, or with word of where these lie."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from odm_gateway.adapters.direct_upload import DirectUpload, direct_upload
from odm_gateway.domain.callers import Caller
from odm_gateway.domain.creation import asked_task
from odm_gateway.domain.identity import is_task_uuid, new_task_id, task_key
from odm_gateway.domain.sources import is_archive, is_web, named_source, wanted_products
from odm_gateway.domain.tasks import Task
from odm_gateway.node import Node
from odm_gateway.refusals import RefusedError
from odm_gateway.routes.asking import CallerHere, NodeHere
from odm_gateway.wire.answers import Json, NodeOdmRoute
from odm_gateway.wire.bodies import Fields, Incoming, read_body
from shared.errors import InvalidInputError, PermanentError
from shared.state import AlreadyExistsError
from shared.urls import checked_url

REFUSAL_CHARACTERS = 500

router = APIRouter(route_class=NodeOdmRoute)


@router.post("/task/new")
async def create_task(request: Request, node: NodeHere, caller: CallerHere) -> Response:
    """Make a task of files that come along, or that lie in the object store or on the web."""
    task_id = await admitted_id(request, node, caller)
    blank = new_task(task_id, {}, node, caller)
    async with direct_upload(node.uploads.drafts, node.uploads.shelf, blank) as upload:
        body = await read_body(request, take=upload.add)
        task = await _made(new_task(task_id, body.fields, node, caller), body.fields, node, caller, upload)
    node.wake()
    return Json({"uuid": task.id})


async def admitted_id(request: Request, node: Node, caller: Caller) -> str:
    """Return the id of the task that a request is allowed to make: the client's choice, or a new one.

    Raises:
        InvalidInputError: There can be no task of the chosen id.
        RefusedError: There are too many tasks.
    """
    chosen = request.headers.get("set-uuid")
    try:
        if chosen is not None:
            if not is_task_uuid(chosen):
                raise RefusedError(f"Invalid set-uuid: {chosen}")
            await node.uploads.check_free(chosen)
        await node.check_room(caller)
    except PermanentError:
        await Incoming(request).skip()
        raise
    return chosen or new_task_id()


def new_task(task_id: str, fields: Fields, node: Node, caller: Caller) -> Task:
    """Return the task that fields describe, without its files."""
    task = asked_task(task_id, caller.name, fields, node.options, datetime.now(UTC))
    return task.model_copy(
        update={
            "parent": caller.parent,
            "is_submodel": caller.parent is not None,
            "products": _products(fields, node, caller),
        }
    )


async def _made(task: Task, fields: Fields, node: Node, caller: Caller, upload: DirectUpload) -> Task:
    """Write the task down, with the files that came or that it names."""
    located = _located(task, fields, node, caller)
    if located is None:
        if upload.is_empty:
            raise RefusedError("Need at least 1 file or a zip file url.")
        return await upload.commit(task)
    if not upload.is_empty:
        raise RefusedError("Send files or say where they lie, not both.")
    try:
        await node.tasks.insert(task_key(task.id), located)
    except AlreadyExistsError as error:
        raise RefusedError(f"Invalid set-uuid: {task.id}") from error
    return located


def _located(task: Task, fields: Fields, node: Node, caller: Caller) -> Task | None:
    """Return the task with the place of the files that its request names, or None where it names none."""
    source = named_source(fields)
    if source is None:
        return None
    images = f"uploads/{task_key(task.id)}/archive"
    if is_web(source.uri):
        checked_url(source.uri)
    else:
        key = _stored_key(source.uri, node, "zipurl")
        node.uploads.folders.check_readable(key, caller)
        images = images if is_archive(source.uri) else key
    return task.model_copy(update={"source": source, "images": images})


def _products(fields: Fields, node: Node, caller: Caller) -> str:
    """Return the key prefix that a request wants its products under; empty: ours."""
    uri = wanted_products(fields)
    if uri is None:
        return ""
    key = _stored_key(uri, node, "writeS3Path")
    node.uploads.folders.check_writable(key, caller)
    return key


def _stored_key(uri: str, node: Node, name: str) -> str:
    try:
        return node.objects.key(uri.rstrip("/"))
    except InvalidInputError as error:
        shown = str(error)[:REFUSAL_CHARACTERS]
        raise RefusedError(f"{name} must be a URI in the object store of this node: {shown}") from error
