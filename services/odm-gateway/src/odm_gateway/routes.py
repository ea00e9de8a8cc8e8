"""The NodeODM API: what PyODM, WebODM, CloudODM and ClusterODM speak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Request, Response

from odm_gateway.adapters.console_log import ConsoleLog
from odm_gateway.domain import javascript
from odm_gateway.domain.assets import product_path
from odm_gateway.domain.completion import completion
from odm_gateway.domain.identity import is_task_uuid
from odm_gateway.domain.options import OptionTable, parse_submitted
from odm_gateway.domain.tasks import Task, canceled, removed, task_key
from odm_gateway.loops import TASKS, job_of
from odm_gateway.wire.answers import Json, NodeOdmRoute, RefusedError, failure, not_done, require_token
from odm_gateway.wire.bodies import Body, Fields, read_body
from odm_gateway.wire.downloads import download
from odm_gateway.wire.host import HostFacts
from shared.errors import InvalidInputError
from shared.objects.port import ObjectStore
from shared.state import AlreadyExistsError, Change, Collection, Order

API_VERSION = "2.2.4"
"""The NodeODM API that is spoken; PyODM compares these three numbers."""
ENGINE_VERSION_AT_MOST = 32
"""Length of WebODM's database column."""

router = APIRouter(route_class=NodeOdmRoute, dependencies=[Depends(require_token)])
open_router = APIRouter(route_class=NodeOdmRoute)
"""Routes that need no token."""


@dataclass(frozen=True, slots=True)
class Node:
    """What the routes stand on."""

    tasks: Collection[Task]
    console: ConsoleLog
    objects: ObjectStore
    options: OptionTable
    host: HostFacts
    engine: str
    engine_version: str
    tasks_at_once: int
    max_images: int | None
    wake: Callable[[], None]


async def _node(request: Request) -> Node:  # a plain function would be run in a thread
    node: Node = request.state.node
    return node


NodeHere = Annotated[Node, Depends(_node)]


async def _task(uuid: str, node: NodeHere) -> Task:
    """Return a task that its users can still see."""
    document = await node.tasks.get(task_key(uuid)) if is_task_uuid(uuid) else None
    if document is None or document.body.removing:
        raise RefusedError(f"{uuid} not found")
    return document.body


TaskHere = Annotated[Task, Depends(_task)]


@router.get("/info")
async def read_info(request: Request, node: NodeHere) -> Response:
    """Tell what this node is and how busy it is."""
    if "_debugUnauthorized" in request.query_params:  # CloudODM tests its own login by it
        return Response(status_code=401)
    await node.host.refresh()
    return Json(
        {
            "version": API_VERSION,
            "taskQueueCount": node.host.queue_count,
            "totalMemory": node.host.total_bytes,
            "availableMemory": node.host.available_bytes,
            "cpuCores": node.host.cores,
            "maxImages": node.max_images,
            "maxParallelTasks": node.tasks_at_once,
            "engine": node.engine,
            "engineVersion": node.engine_version[:ENGINE_VERSION_AT_MOST],
        }
    )


@router.get("/options")
async def list_options(node: NodeHere) -> Response:
    """List the options that a task may carry."""
    return Json(node.options.rows)


@router.post("/task/new")
async def create_task(request: Request, node: NodeHere) -> Response:
    """Make a task of images that lie in the object store already."""
    uuid = request.headers.get("set-uuid")
    if uuid is not None and not is_task_uuid(uuid):
        raise RefusedError(f"Invalid set-uuid: {uuid}")
    body = await read_body(request)
    task = _new_task(uuid or str(uuid4()), _images(body, node), body.fields, node.options)
    try:
        await node.tasks.insert(task_key(task.id), task)
    except AlreadyExistsError as error:
        raise RefusedError(f"Invalid set-uuid: {task.id}") from error
    node.wake()
    return Json({"uuid": task.id})


def _images(body: Body, node: Node) -> str:
    """Return the key prefix of the images that a request names."""
    if body.has_files:
        raise RefusedError(
            "Images cannot be uploaded here yet; stage them in the object store and send their URI as zipurl."
        )
    url = body.fields.get("zipurl")
    if not isinstance(url, str) or not url:
        raise RefusedError("Need at least 1 file or a zip file url.")
    try:
        key = node.objects.key(url.rstrip("/"))
    except InvalidInputError as error:
        raise RefusedError(f"zipurl must be the URI of images in the object store: {error}") from error
    if not key:
        raise RefusedError("zipurl must be the URI of images in the object store, not of the whole store.")
    return key


def _new_task(uuid: str, images: str, fields: Fields, table: OptionTable) -> Task:
    options = table.validated(parse_submitted(fields.get("options")))
    if fields.get("skipPostProcessing") not in ("true", True):
        options = table.with_post_processing(options)
    now = datetime.now(UTC)
    return Task(
        id=uuid,
        name=javascript.text(fields["name"]) if "name" in fields else None,
        created_at=_created_at(fields.get("dateCreated"), now),
        inserted_us=round(now.timestamp() * 1e6),
        options=options,
        images=images,
        outputs=_outputs(fields.get("outputs")),
    )


def _created_at(raw: object, now: datetime) -> datetime:
    """Return the moment that a client gives in milliseconds since 1970, or ``now`` if it gives none."""
    try:
        return datetime.fromtimestamp(javascript.parse_int(raw) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return now


def _outputs(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        try:
            raw = javascript.parse_json(raw)
        except ValueError as error:
            raise RefusedError(f"outputs is no JSON: {error}") from error
    return tuple(item for item in raw if isinstance(item, str)) if isinstance(raw, list) else ()


@router.post("/task/new/init")
@router.post("/task/new/upload/{uuid}")
@router.post("/task/new/commit/{uuid}")
async def refuse_upload() -> Response:
    """Say that images cannot be uploaded yet."""
    return Json(
        {
            "error": "Images cannot be uploaded here yet; stage them in the object store and send their URI"
            " as zipurl to /task/new.",
            "noRetry": True,
        }
    )


@router.get("/task/list")
async def list_tasks(node: NodeHere) -> Response:
    """List all tasks, oldest first."""
    found: list[dict[str, str]] = []
    cursor: str | None = None
    while True:
        # Unread: thousands of tasks are listed, and only their ids are wanted.
        page = await node.tasks.store.find(
            TASKS.name, {}, order=Order("inserted_us"), limit=1000, after=cursor
        )
        found += [{"uuid": record.body["id"]} for record in page.records if not record.body["removing"]]
        cursor = page.cursor
        if cursor is None:
            return Json(found)


@router.get("/task/{uuid}/info")  # noqa: FAST003 - TaskHere takes it
async def read_task(request: Request, node: NodeHere, task: TaskHere) -> Response:
    """Tell how a task is doing."""
    answer = task_info(task, datetime.now(UTC))
    if "with_output" in request.query_params:
        answer["output"] = await _output(node, task, request.query_params["with_output"])
    return Json(answer)


def task_info(task: Task, now: datetime) -> dict[str, Any]:
    """Return a task in the words of the API."""
    status: dict[str, Any] = {"code": int(task.shown_status(now))}
    if task.error and not task.cancel_requested:
        status["errorMessage"] = task.error
    info = {
        "uuid": task.id,
        "name": task.shown_name,
        "dateCreated": round(task.created_at.timestamp() * 1000),
        "processingTime": task.processing_ms(now),
        "status": status,
        "options": [option.model_dump() for option in task.options],
        "imagesCount": task.image_count,
        "progress": task.progress,
    }
    return {name: value for name, value in info.items() if value is not None}


@router.get("/task/{uuid}/output")  # noqa: FAST003 - TaskHere takes it
async def read_output(request: Request, node: NodeHere, task: TaskHere) -> Response:
    """Return the console from a line on."""
    return Json(await _output(node, task, request.query_params.get("line")))


async def _output(node: Node, task: Task, line: str | None) -> list[str]:
    key = task_key(task.id)
    count = await node.console.count(key, task.run)
    return await node.console.lines(key, task.run, javascript.first_index(count, line))


@router.api_route("/task/{uuid}/download/{asset:path}", methods=["GET", "HEAD"])
async def download_asset(request: Request, asset: str, node: NodeHere, task: TaskHere) -> Response:
    """Send one of a task's products."""
    path = product_path(asset)
    if path is None:
        raise RefusedError("Invalid asset")
    stored = await node.objects.stat(f"{job_of(task).products}/{path}") if path in task.assets else None
    if stored is None:
        raise RefusedError("Asset not ready")
    return download(request, node.objects, stored)


@router.post("/task/cancel")
async def cancel_task(request: Request, node: NodeHere) -> Response:
    """Cancel a task; a finished one counts as canceled from then on."""
    return await _change(request, node, canceled)


@router.post("/task/remove")
async def remove_task(request: Request, node: NodeHere) -> Response:
    """Cancel a task and delete all that it made."""
    return await _change(request, node, removed)


@router.post("/task/restart")
async def restart_task(request: Request, node: NodeHere) -> Response:
    """Refuse, in NodeODM's words, to process a task again."""
    task = await _named_task(request, node)
    return not_done("Task cannot be restarted") if isinstance(task, Task) else task


async def _change(request: Request, node: Node, change: Callable[[Task, datetime], Task]) -> Response:
    task = await _named_task(request, node)
    if isinstance(task, Response):
        return task
    now = datetime.now(UTC)
    await node.tasks.update(task_key(task.id), lambda old: _told(old, change(old, now)))
    node.wake()
    return Json({"success": True})


async def _named_task(request: Request, node: Node) -> Task | Response:
    """Return the task that a body names, or the answer that says why there is none."""
    uuid = (await read_body(request, multipart=False)).fields.get("uuid")
    if not isinstance(uuid, str) or not uuid:
        return failure("uuid param missing.")
    try:
        return await _task(uuid, node)
    except RefusedError as error:
        return not_done(str(error))


def _told(old: Task, new: Task) -> Change[Task]:
    """Return the new task, and the event of its end where this change is what ended it."""
    is_end = new.status.finished and not old.status.finished
    return Change(new, [completion(new, None)] if is_end else [])


@open_router.get("/auth/info")
async def read_auth() -> Response:
    """Tell that nobody can log in here."""
    return Json(
        {"message": "Authentication not available on this node", "loginUrl": None, "registerUrl": None}
    )


@open_router.post("/auth/login")
@open_router.post("/auth/register")
async def refuse_login() -> Response:
    """Tell that nobody can log in or register here."""
    return failure("Not available")
