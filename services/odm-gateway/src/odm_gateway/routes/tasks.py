"""What clients poll and download: the list of tasks, a task, its console and its products."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from odm_gateway.domain import javascript
from odm_gateway.domain.assets import product_path
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.tasks import Task
from odm_gateway.loops import TASKS
from odm_gateway.node import CallerHere, Node, NodeHere, TaskHere
from odm_gateway.wire.answers import Json, NodeOdmRoute, RefusedError
from odm_gateway.wire.downloads import download
from shared.state import Order

router = APIRouter(route_class=NodeOdmRoute)


@router.get("/task/list")
async def list_tasks(node: NodeHere, caller: CallerHere) -> Response:
    """List all tasks, oldest first."""
    found: list[dict[str, str]] = []
    cursor: str | None = None
    theirs = {} if caller.sees_all else {"tenant": caller.name}
    while True:
        # Unread: thousands of tasks are listed, and only their ids are wanted.
        page = await node.tasks.store.find(
            TASKS.name, theirs, order=Order("inserted_us"), limit=1000, after=cursor
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
    stored = await node.objects.stat(f"{task.products_key}/{path}") if path in task.assets else None
    if stored is None:
        raise RefusedError("Asset not ready")
    return download(request, node.objects, stored)
