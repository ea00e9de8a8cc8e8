"""What the node says of itself: ``/info``, ``/options`` and ``/auth``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from odm_gateway.node import CallerHere, NodeHere
from odm_gateway.wire.answers import Json, NodeOdmRoute, failure

API_VERSION = "2.2.4"
"""The NodeODM API that is spoken; PyODM compares these three numbers."""
ENGINE_VERSION_AT_MOST = 32
"""Length of WebODM's database column."""

router = APIRouter(route_class=NodeOdmRoute)


@router.get("/info")
async def read_info(request: Request, node: NodeHere, _: CallerHere) -> Response:
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
async def list_options(node: NodeHere, _: CallerHere) -> Response:
    """List the options that a task may carry."""
    return Json(node.options.rows)


@router.get("/auth/info")
async def read_auth() -> Response:
    """Tell that nobody can log in here."""
    return Json(
        {"message": "Authentication not available on this node", "loginUrl": None, "registerUrl": None}
    )


@router.post("/auth/login")
@router.post("/auth/register")
async def refuse_login() -> Response:
    """Tell that nobody can log in or register here."""
    return failure("Not available")
