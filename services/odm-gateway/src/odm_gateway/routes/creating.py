"""How tasks come in over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from odm_gateway.domain import javascript
from odm_gateway.domain.callers import Caller
from odm_gateway.domain.identity import is_task_uuid, new_task_id, task_key
from odm_gateway.domain.options import OptionTable, parse_submitted
from odm_gateway.domain.tasks import Task
from odm_gateway.node import CallerHere, Node, NodeHere
from odm_gateway.wire.answers import Json, NodeOdmRoute, RefusedError
from odm_gateway.wire.bodies import Body, Fields, read_body
from shared.errors import InvalidInputError
from shared.state import AlreadyExistsError

router = APIRouter(route_class=NodeOdmRoute)


@router.post("/task/new")
async def create_task(request: Request, node: NodeHere, caller: CallerHere) -> Response:
    """Make a task of images that lie in the object store already."""
    task_id = _wanted_id(request)
    body = await read_body(request)
    task = _new_task(task_id, caller, _images(body, node), body.fields, node.options)
    try:
        await node.tasks.insert(task_key(task.id), task)
    except AlreadyExistsError as error:
        raise RefusedError(f"Invalid set-uuid: {task.id}") from error
    node.wake()
    return Json({"uuid": task.id})


def _wanted_id(request: Request) -> str:
    """Return the id that the client chose, or a new one."""
    chosen = request.headers.get("set-uuid")
    if chosen is not None and not is_task_uuid(chosen):
        raise RefusedError(f"Invalid set-uuid: {chosen}")
    return chosen or new_task_id()


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


def _new_task(task_id: str, caller: Caller, images: str, fields: Fields, table: OptionTable) -> Task:
    options = table.validated(parse_submitted(fields.get("options")))
    post_processing = fields.get("skipPostProcessing") not in ("true", True)
    if post_processing:
        options = table.with_post_processing(options)
    now = datetime.now(UTC)
    return Task(
        id=task_id,
        tenant=caller.name,
        post_processing=post_processing,
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
async def refuse_upload(_: CallerHere) -> Response:
    """Say that images cannot be uploaded yet."""
    return Json(
        {
            "error": "Images cannot be uploaded here yet; stage them in the object store and send their URI"
            " as zipurl to /task/new.",
            "noRetry": True,
        }
    )
