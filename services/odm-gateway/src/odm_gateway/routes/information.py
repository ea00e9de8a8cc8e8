"""What the node says of itself: ``/info``, ``/options`` and ``/auth``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from odm_gateway.refusals import RefusedError
from odm_gateway.routes.asking import CallerHere, NodeHere
from odm_gateway.wire.answers import Json, NodeOdmRoute, failure
from odm_gateway.wire.bodies import read_body

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
async def read_auth(request: Request, node: NodeHere) -> Response:
    """Tell whether and where people can log in and register."""
    if node.accounts is None:
        return Json(
            {"message": "Authentication not available on this node", "loginUrl": None, "registerUrl": None}
        )
    base = (node.public_url or str(request.base_url)).rstrip("/")  # CloudODM posts to it as it stands
    can_register = node.accounts.registration
    return Json(
        {
            "message": "Log in to get a token." + (" Everybody may register." if can_register else ""),
            "loginUrl": f"{base}/auth/login",
            "registerUrl": f"{base}/auth/register" if can_register else None,
        }
    )


@router.post("/auth/login")
async def log_in(request: Request, node: NodeHere) -> Response:
    """Give a token to a user who knows the password."""
    if node.accounts is None:
        return failure("Not available")
    name, password = await _credentials(request)
    return Json({"token": await node.accounts.login(name, password)})


@router.post("/auth/register")
async def register_user(request: Request, node: NodeHere) -> Response:
    """Make a user."""
    if node.accounts is None or not node.accounts.registration:
        return failure("Not available")
    name, password = await _credentials(request)
    await node.accounts.register(name, password)
    return Json({"success": True})


async def _credentials(request: Request) -> tuple[str, str]:
    fields = (await read_body(request)).fields
    name, password = fields.get("username"), fields.get("password")
    if not (isinstance(name, str) and name and isinstance(password, str) and password):
        raise RefusedError("username and password are needed.")
    return name, password
