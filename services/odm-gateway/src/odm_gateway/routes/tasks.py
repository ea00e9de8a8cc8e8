"""What clients poll and download: the list of tasks, a task, its console and its products."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from odm_gateway.domain import javascript
from odm_gateway.domain.assets import product_path
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.task_info import task_info
from odm_gateway.domain.tasks import Task
from odm_gateway.node import Node
from odm_gateway.refusals import RefusedError
from odm_gateway.routes.asking import CallerHere, NodeHere, TaskHere
from odm_gateway.wire.answers import Json, NodeOdmRoute
from odm_gateway.wire.downloads import download, redirect

LINES_AT_MOST = 10**12

router = APIRouter(route_class=NodeOdmRoute)


@router.get("/task/list")
async def list_tasks(node: NodeHere, caller: CallerHere) -> Response:
    """List all tasks, oldest first."""
    return Json(await node.listing.rows(caller))


@router.get("/task/{uuid}/info")  # noqa: FAST003 - TaskHere takes it
async def read_task(request: Request, node: NodeHere, task: TaskHere) -> Response:
    """Tell how a task is doing."""
    answer = task_info(task, datetime.now(UTC), node.cleanup, node.objects.uri(task.products_key))
    if "with_output" in request.query_params:
        answer["output"] = await _output(node, task, request.query_params["with_output"])
    expires_at = answer.get("expiresAt")
    return Json(answer, headers={"X-Flightline-Expires": expires_at} if expires_at else None)


@router.get("/task/{uuid}/output")  # noqa: FAST003 - TaskHere takes it
async def read_output(request: Request, node: NodeHere, task: TaskHere) -> Response:
    """Return the console from a line on."""
    return Json(await _output(node, task, request.query_params.get("line")))


async def _output(node: Node, task: Task, line: str | None) -> list[str]:
    key = task_key(task.id)
    is_from_end = (line or "").lstrip().startswith("-")
    count = await node.console.count(key, task.run) if is_from_end else LINES_AT_MOST
    return await node.console.lines(key, task.run, javascript.first_index(count, line))


@router.get("/task/{uuid}/download/{asset:path}")  # noqa: FAST003 - TaskHere takes it
@router.head("/task/{uuid}/download/{asset:path}")
async def download_asset(request: Request, asset: str, node: NodeHere, task: TaskHere) -> Response:
    """Send one of a task's products, or say by a 302 where it can be read for an hour."""
    path = product_path(asset)
    if path is None:
        raise RefusedError("Invalid asset")
    stored = await node.objects.stat(f"{task.products_key}/{path}") if path in task.assets else None
    if stored is None:
        raise RefusedError("Asset not ready")
    elsewhere = await redirect(request, node.objects, stored) if node.redirects else None
    return elsewhere or download(request, node.objects, stored)
